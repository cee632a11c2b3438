package dev.dfp.lab;

import android.app.Activity;
import android.os.Bundle;
import android.widget.Button;
import android.widget.TextView;
import dev.dfp.lab.protocol.Clock;
import dev.dfp.lab.protocol.Mode;
import dev.dfp.lab.protocol.Run;
import dev.dfp.lab.protocol.Runtimes;
import dev.dfp.lab.protocol.Session;
import java.io.IOException;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;

/** Measures every pushed artifact that this build can run, one after another, and shows their latencies side by side. */
public final class CompareActivity extends Activity {
    private final ExecutorService worker = Executors.newSingleThreadExecutor();
    private final Map<String, TextView> shown = new LinkedHashMap<>();
    private Button start;
    private Session session;

    @Override
    protected void onCreate(Bundle saved) {
        super.onCreate(saved);
        Screen screen = new Screen(this, R.string.compare);
        try {
            session = Session.newest(Places.sessions(this));
            if (session == null) {
                screen.text(getString(R.string.nothing_pushed));
                return;
            }
            screen.text(getString(R.string.compare_explained));
            start = screen.button(R.string.start, view -> measureAll());
            for (String artifact : session.artifacts) {
                boolean runs = Runtimes.has(session.model(artifact).getName());
                screen.heading(artifact);
                shown.put(artifact, screen.text(getString(runs ? R.string.not_measured : R.string.not_in_this_build)));
            }
        } catch (IOException wrong) {
            screen.text(getString(R.string.failed, wrong.getMessage()));
        }
    }

    private void measureAll() {
        start.setEnabled(false);
        worker.execute(() -> {
            for (String artifact : shown.keySet()) {
                measure(artifact);
            }
            runOnUiThread(() -> start.setEnabled(true));
        });
    }

    private void measure(String artifact) {
        try {
            if (!Runtimes.has(session.model(artifact).getName())) {
                return;
            }
            Run run = new Run(session, new AndroidDevice(this), Clock.SYSTEM);
            Map<String, Object> row = run.row(artifact, Mode.QUICK, 1, new ArrayList<>(), (stage, done, total) ->
                    tell(artifact, stage + " …"));
            Run.write(row, Places.results(this));
            tell(artifact, String.format(
                    Locale.ROOT, getString(R.string.latency), row.get("runtime"), row.get("p50_us"), row.get("p90_us"),
                    row.get("p99_us"), row.get("cold_load_ms"), row.get("parity_flipped"), row.get("parity_rows"),
                    disturbance(row)));
        } catch (IOException | IllegalArgumentException | IllegalStateException wrong) {
            tell(artifact, getString(R.string.failed, wrong.getMessage()));
        }
    }

    private String disturbance(Map<String, Object> row) {
        List<String> reasons = new ArrayList<>();
        for (Object reason : (List<?>) row.get("reasons")) {
            reasons.add(String.valueOf(reason));
        }
        return reasons.isEmpty()
                ? ""
                : String.format(Locale.ROOT, getString(R.string.disturbed), String.join("; ", reasons));
    }

    private void tell(String artifact, String text) {
        runOnUiThread(() -> shown.get(artifact).setText(text));
    }

    @Override
    protected void onDestroy() {
        worker.shutdownNow();
        super.onDestroy();
    }
}
