package dev.dfp.lab;

import android.app.Activity;
import android.content.Intent;
import android.os.Bundle;
import android.view.View;
import android.widget.AdapterView;
import android.widget.ArrayAdapter;
import android.widget.Spinner;
import android.widget.TextView;
import dev.dfp.lab.protocol.Answer;
import dev.dfp.lab.protocol.Apps;
import dev.dfp.lab.protocol.Card;
import dev.dfp.lab.protocol.Runner;
import dev.dfp.lab.protocol.Runtimes;
import dev.dfp.lab.protocol.Session;
import java.io.File;
import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;

/** Scores an app, chosen among those that were pushed, with the champion. */
public final class MainActivity extends Activity implements AdapterView.OnItemSelectedListener {
    private static final int SHOWN = 8; // characters of a digest

    private Runner runner;
    private Card card;
    private float[][] rows;
    private Session session;
    private TextView verdict;
    private TextView details;

    @Override
    protected void onCreate(Bundle saved) {
        super.onCreate(saved);
        Screen screen = new Screen(this, R.string.app_name);
        try {
            session = Session.newest(Places.sessions(this));
            if (session == null) {
                screen.text(getString(R.string.nothing_pushed));
                return;
            }
            String artifact = session.champion();
            if (artifact == null) {
                screen.text(getString(R.string.no_champion, session.championModel, session.artifacts.toString()));
            } else {
                show(screen, artifact);
            }
            screen.button(R.string.compare, view -> startActivity(new Intent(this, CompareActivity.class)));
        } catch (IOException | IllegalStateException | UnsupportedOperationException wrong) {
            screen.text(getString(R.string.failed, wrong.getMessage()));
        }
    }

    private void show(Screen screen, String artifact) throws IOException {
        Apps apps = session.apps();
        card = session.card(artifact);
        rows = apps.rows(card);
        File model = session.model(artifact);
        runner = Runtimes.of(model.getName());
        runner.load(model, card, 1);
        List<String> names = new ArrayList<>();
        for (int i = 0; i < apps.count(); i++) {
            names.add(apps.packages.get(i) + "  " + apps.sha256.get(i).substring(0, SHOWN));
        }
        screen.text(getString(R.string.choose));
        Spinner spinner = screen.add(new Spinner(this));
        ArrayAdapter<String> adapter = new ArrayAdapter<>(this, android.R.layout.simple_spinner_item, names);
        adapter.setDropDownViewResource(android.R.layout.simple_spinner_dropdown_item);
        spinner.setAdapter(adapter);
        spinner.setOnItemSelectedListener(this);
        verdict = screen.heading("");
        details = screen.text("");
    }

    @Override
    public void onItemSelected(AdapterView<?> list, View view, int place, long id) {
        Answer answer = runner.score(rows[place]);
        verdict.setText(card.alarms(answer.score) ? R.string.alarm : R.string.no_alarm);
        details.setText(String.format(
                Locale.ROOT, getString(R.string.answer), answer.score, card.threshold, answer.error, card.name,
                runner.name(), session.lakeCommit));
    }

    @Override
    public void onNothingSelected(AdapterView<?> list) {
        verdict.setText("");
        details.setText("");
    }

    @Override
    protected void onDestroy() {
        if (runner != null) {
            runner.close();
        }
        super.onDestroy();
    }
}
