package dev.dfp.lab;

import android.app.Activity;
import android.app.Instrumentation;
import android.os.Bundle;
import dev.dfp.lab.protocol.Clock;
import dev.dfp.lab.protocol.Mode;
import dev.dfp.lab.protocol.Progress;
import dev.dfp.lab.protocol.Run;
import java.io.File;
import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;

/**
 * Measures one artifact in a fresh process, without a touch of the screen:
 * {@code am instrument -w -r -e session S -e artifact A [-e act prepare|load] [-e mode full] [-e threads 1] [-e cold_loads 9.1,9.3]
 * dev.dfp.lab/.LabInstrumentation}.
 *
 * <p>Tells its progress as instrumentation status, and ends with dfp_row (where the row lies), or the figures of a load, or
 * dfp_home (where sessions are to be pushed), or dfp_error. A crash is the system's to tell.
 */
public class LabInstrumentation extends Instrumentation {
    private Bundle arguments;

    @Override
    public void onCreate(Bundle given) {
        super.onCreate(given);
        arguments = given;
        start();
    }

    @Override
    public void onStart() {
        super.onStart();
        Bundle told = new Bundle();
        try {
            act(told);
            finish(Activity.RESULT_OK, told);
        } catch (IOException | IllegalArgumentException | IllegalStateException | UnsupportedOperationException wrong) {
            told.putString("dfp_error", String.valueOf(wrong.getMessage()).replace('\n', ' '));
            finish(Activity.RESULT_CANCELED, told);
        }
    }

    private void act(Bundle told) throws IOException {
        if (argument("act", "run").equals("prepare")) {
            told.putString("dfp_home", Places.made(getTargetContext()).getPath());
            return;
        }
        Run run = new Run(
                Places.session(getTargetContext(), argument("session", null)),
                new AndroidDevice(getTargetContext()),
                Clock.SYSTEM);
        String artifact = argument("artifact", null);
        int threads = Integer.parseInt(argument("threads", "1"));
        if (argument("act", "run").equals("load")) {
            for (Map.Entry<String, Object> figure : run.load(artifact, threads).entrySet()) {
                told.putString("dfp_" + figure.getKey(), String.valueOf(figure.getValue()));
            }
            return;
        }
        Mode mode = Mode.of(argument("mode", "quick"));
        Map<String, Object> row = run.row(artifact, mode, threads, coldLoads(), progress());
        File place = Run.write(row, Places.results(getTargetContext()));
        told.putString("dfp_row", place.getPath());
    }

    private Progress progress() {
        return (stage, done, total) -> {
            Bundle status = new Bundle();
            status.putString("dfp_stage", stage);
            status.putInt("dfp_done", done);
            status.putInt("dfp_total", total);
            sendStatus(0, status);
        };
    }

    private List<Double> coldLoads() {
        List<Double> found = new ArrayList<>();
        for (String figure : argument("cold_loads", "").split(",")) {
            if (!figure.isEmpty()) {
                found.add(Double.valueOf(figure));
            }
        }
        return found;
    }

    private String argument(String name, String otherwise) {
        String given = arguments.getString(name, otherwise);
        if (given == null) {
            throw new IllegalArgumentException("name it: -e " + name + " …");
        }
        return given;
    }
}
