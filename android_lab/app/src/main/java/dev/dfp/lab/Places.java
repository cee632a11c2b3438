package dev.dfp.lab;

import android.content.Context;
import dev.dfp.lab.protocol.Session;
import java.io.File;
import java.io.IOException;

/** Where things lie in the app's external files folder, which `adb` reaches without rights. */
final class Places {
    private Places() {}

    /** Sessions that were pushed, one folder each. */
    static File sessions(Context context) throws IOException {
        return beneath(context, "sessions");
    }

    /** Rows that were measured, one folder a session. */
    static File results(Context context) throws IOException {
        return beneath(context, "results");
    }

    /**
     * The app's folder, with a place for sessions and results. It is the app that makes them: what adb makes first may belong
     * to adb alone.
     */
    static File made(Context context) throws IOException {
        for (File folder : new File[] {sessions(context), results(context)}) {
            if (!folder.isDirectory() && !folder.mkdirs()) {
                throw new IOException("cannot make " + folder);
            }
        }
        return sessions(context).getParentFile();
    }

    /** The session of that name. */
    static Session session(Context context, String name) throws IOException {
        return Session.open(new File(sessions(context), name));
    }

    private static File beneath(Context context, String name) throws IOException {
        File files = context.getExternalFilesDir(null);
        if (files == null) {
            throw new IOException("the device's shared storage is not mounted");
        }
        return new File(files, name);
    }
}
