package dev.dfp.lab;

import static org.junit.Assert.assertEquals;
import static org.junit.Assert.assertNull;
import static org.junit.Assert.assertTrue;

import android.app.Activity;
import android.content.Context;
import android.os.Bundle;
import dev.dfp.lab.protocol.Json;
import java.io.File;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.junit.Test;
import org.junit.runner.RunWith;
import org.robolectric.RobolectricTestRunner;
import org.robolectric.RuntimeEnvironment;
import org.robolectric.annotation.Config;

/** What `am instrument` starts, without its system process: statuses and the result go to the test. */
@RunWith(RobolectricTestRunner.class)
@Config(sdk = 34)
public class LabInstrumentationTest {
    private static final class Watched extends LabInstrumentation {
        final List<Bundle> statuses = new ArrayList<>();
        Bundle result;
        int code;

        @Override
        public Context getTargetContext() {
            return RuntimeEnvironment.getApplication();
        }

        @Override
        public void start() {
            onStart(); // in this thread
        }

        @Override
        public void sendStatus(int code, Bundle status) {
            statuses.add(status);
        }

        @Override
        public void finish(int code, Bundle told) {
            this.code = code;
            result = told;
        }
    }

    private static Watched run(String... arguments) {
        Bundle given = new Bundle();
        for (int i = 0; i < arguments.length; i += 2) {
            given.putString(arguments[i], arguments[i + 1]);
        }
        Watched watched = new Watched();
        watched.onCreate(given);
        return watched;
    }

    @Test
    public void itMakesTheFoldersThatSessionsArePushedTo() {
        Watched watched = run("act", "prepare");
        assertEquals(Activity.RESULT_OK, watched.code);
        assertTrue(new File(watched.result.getString("dfp_home"), "sessions").isDirectory());
        assertTrue(new File(watched.result.getString("dfp_home"), "results").isDirectory());
    }

    @Test
    public void aRunTellsItsProgressAndWhereTheRowLies() throws IOException {
        String session = Pushed.session(RuntimeEnvironment.getApplication());
        Watched watched = run("session", session, "artifact", "autoencoder_onnx", "cold_loads", "9.5,8.25", "threads", "2");
        assertEquals(Activity.RESULT_OK, watched.code);
        File place = new File(watched.result.getString("dfp_row"));
        Map<String, Object> row = Json.object(new String(Files.readAllBytes(place.toPath()), StandardCharsets.UTF_8));
        assertEquals("0.1.0", row.get("app_version"));
        assertEquals(34.0, row.get("sdk"));
        assertEquals(2.0, row.get("threads"));
        assertEquals(3, ((List<?>) row.get("cold_loads_ms")).size());
        assertNull("Robolectric's battery tells no temperature", row.get("battery_celsius_before"));
        assertEquals("none", row.get("thermal_status_after"));
        Bundle last = watched.statuses.get(watched.statuses.size() - 1);
        assertEquals("batch", last.getString("dfp_stage"));
    }

    @Test
    public void aLoadTellsItsFigures() throws IOException {
        String session = Pushed.session(RuntimeEnvironment.getApplication());
        Watched watched = run("session", session, "artifact", "autoencoder_onnx", "act", "load");
        assertTrue(Double.parseDouble(watched.result.getString("dfp_cold_load_ms")) > 0);
        assertTrue(Double.parseDouble(watched.result.getString("dfp_first_us")) > 0);
    }

    @Test
    public void whatCannotBeDoneIsSaidInOneLine() throws IOException {
        Watched missing = run("session", "never-pushed", "artifact", "autoencoder_onnx");
        assertEquals(Activity.RESULT_CANCELED, missing.code);
        assertTrue(missing.result.getString("dfp_error"), missing.result.getString("dfp_error").contains("never-pushed"));
        assertEquals("name it: -e session …", run("artifact", "autoencoder_onnx").result.getString("dfp_error"));
        String session = Pushed.session(RuntimeEnvironment.getApplication());
        Watched unknown = run("session", session, "artifact", "autoencoder_onnx", "mode", "endless");
        assertEquals(Activity.RESULT_CANCELED, unknown.code);
    }
}
