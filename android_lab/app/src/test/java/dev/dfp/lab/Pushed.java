package dev.dfp.lab;

import android.content.Context;
import android.view.View;
import android.view.ViewGroup;
import android.widget.TextView;
import java.io.File;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.stream.Stream;

/** What tests of the app share: a session in the app's folder, as adb pushes it, and what a screen shows. */
final class Pushed {
    private Pushed() {}

    /** Copies the session that -Ddfp.session names; gives its name. */
    static String session(Context context) throws IOException {
        Path from = new File(System.getProperty("dfp.session")).toPath();
        Path to = Places.made(context).toPath().resolve("sessions").resolve(from.getFileName().toString());
        try (Stream<Path> files = Files.walk(from)) {
            for (Path file : (Iterable<Path>) files.filter(Files::isRegularFile)::iterator) {
                Path place = to.resolve(from.relativize(file).toString());
                Files.createDirectories(place.getParent());
                Files.copy(file, place);
            }
        }
        return to.getFileName().toString();
    }

    /** All that a view and those in it show, a line each. */
    static String text(View view) {
        StringBuilder all = new StringBuilder();
        if (view instanceof TextView) {
            all.append(((TextView) view).getText()).append('\n');
        } else if (view instanceof ViewGroup) {
            for (int i = 0; i < ((ViewGroup) view).getChildCount(); i++) {
                all.append(text(((ViewGroup) view).getChildAt(i)));
            }
        }
        return all.toString();
    }

    /** The view that shows this text, or null. */
    static TextView showing(View view, String text) {
        if (view instanceof TextView) {
            return ((TextView) view).getText().toString().equals(text) ? (TextView) view : null;
        }
        TextView found = null;
        for (int i = 0; found == null && view instanceof ViewGroup && i < ((ViewGroup) view).getChildCount(); i++) {
            found = showing(((ViewGroup) view).getChildAt(i), text);
        }
        return found;
    }
}
