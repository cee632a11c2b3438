package dev.dfp.lab.protocol;

import static dev.dfp.lab.protocol.Measurement.figure;

import java.io.File;
import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;

/**
 * How a model is measured: cold load, first inference, warm-up, single-row queries in rounds, batch throughput.
 *
 * <p>The same steps whatever the runtime. Nothing here knows Android, so the JVM's tests run what phones run.
 */
public final class Protocol {
    /** Rows of different versions are not compared. Change it with anything that changes a figure's meaning. */
    public static final String VERSION = "1";

    public static final int WARM_UP = 128;
    public static final int BATCH = 1_024;

    /** Rounds whose medians differ by more than this share were disturbed. */
    public static final double NOISE_LIMIT = 0.25;

    /** If the system took the core away in more than this share of the queries, it, not the model, made the p99. */
    public static final double PREEMPTION_LIMIT = 0.005;

    private static final int BATCHES = 4;
    private static final double NANOS_IN_A_MILLISECOND = 1e6;
    private static final double NANOS_IN_A_SECOND = 1e9;

    private final Clock clock;
    private final Mode mode;
    private final Progress progress;

    public Protocol(Clock clock, Mode mode, Progress progress) {
        this.clock = clock;
        this.mode = mode;
        this.progress = progress;
    }

    /**
     * Loads and asks once, in a process that has loaded nothing yet.
     *
     * @return `import_ms`, `cold_load_ms` and `first_us`
     * @throws IOException the model cannot be loaded
     */
    public Measurement load(Runner runner, File model, Card card, int threads, float[] row) throws IOException {
        Measurement found = new Measurement();
        long start = clock.nanos();
        runner.prepare();
        long begin = clock.nanos();
        runner.load(model, card, threads);
        long loaded = clock.nanos();
        runner.score(row);
        long answered = clock.nanos();
        found.figures.put("import_ms", figure((begin - start) / NANOS_IN_A_MILLISECOND));
        found.figures.put("cold_load_ms", figure((loaded - begin) / NANOS_IN_A_MILLISECOND));
        found.figures.put("first_us", figure((answered - loaded) / 1e3));
        return found;
    }

    /**
     * All of the protocol.
     *
     * @param rows raw feature values in the card's order; taken in turn, again from the first after the last
     * @throws IOException the model cannot be loaded
     * @throws IllegalArgumentException no row, or a row of another length than the card has features
     */
    public Measurement measure(Runner runner, File model, Card card, int threads, float[][] rows) throws IOException {
        check(card, rows);
        progress.tell("load", 0, 1);
        Measurement found = load(runner, model, card, threads, rows[0]);
        progress.tell("warm-up", 0, 1);
        for (int i = 0; i < WARM_UP; i++) {
            runner.score(rows[i % rows.length]);
        }
        Long before = clock.preemptions();
        long begin = clock.nanos();
        List<Times> rounds = new ArrayList<>();
        int asked = 0;
        for (int round = 0; round < mode.rounds; round++) {
            progress.tell("queries", round, mode.rounds);
            Times times = round(runner, rows, asked);
            asked += times.count();
            rounds.add(times);
        }
        double seconds = (clock.nanos() - begin) / NANOS_IN_A_SECOND;
        Long after = clock.preemptions();
        tellLatency(found, rounds, seconds);
        tellPreemptions(found, before == null || after == null ? null : after - before, asked);
        progress.tell("batch", 0, 1);
        tellThroughput(found, runner, rows);
        return found;
    }

    private static void check(Card card, float[][] rows) {
        if (rows.length == 0) {
            throw new IllegalArgumentException("no row to ask about");
        }
        for (float[] row : rows) {
            if (row.length != card.features.size()) {
                throw new IllegalArgumentException(
                        card.name + " takes " + card.features.size() + " features, not " + row.length);
            }
        }
    }

    /** A round's share of the queries and of the time, whichever takes longer. */
    private Times round(Runner runner, float[][] rows, int asked) {
        Times times = new Times();
        int fewest = (mode.queries + mode.rounds - 1) / mode.rounds;
        long shortest = mode.nanos / mode.rounds;
        long start = clock.nanos();
        long end = start;
        while (times.count() < fewest || end - start < shortest) {
            float[] row = rows[(asked + times.count()) % rows.length];
            long begin = clock.nanos();
            runner.score(row);
            end = clock.nanos();
            times.add(end - begin);
        }
        return times;
    }

    private void tellLatency(Measurement found, List<Times> rounds, double seconds) {
        Times all = Times.all(rounds);
        double[] percentiles = all.percentiles(50, 90, 99, 99.9, 100);
        String[] names = {"p50_us", "p90_us", "p99_us", "p999_us", "max_us"};
        for (int i = 0; i < names.length; i++) {
            found.figures.put(names[i], figure(percentiles[i]));
        }
        found.figures.put("mode", mode.name().toLowerCase(Locale.ROOT));
        found.figures.put("warm_up", WARM_UP);
        found.figures.put("rounds", mode.rounds);
        found.figures.put("queries", all.count());
        found.figures.put("seconds", figure(seconds));
        double noise = noise(rounds);
        found.figures.put("noise", figure(noise));
        if (noise > NOISE_LIMIT) {
            found.reasons.add(String.format(
                    Locale.ROOT, "medians of the rounds differ by %.0f %%, more than %.0f %%", 100 * noise,
                    100 * NOISE_LIMIT));
        }
    }

    private static void tellPreemptions(Measurement found, Long preemptions, int queries) {
        found.figures.put("preemptions", preemptions);
        if (preemptions != null && preemptions > PREEMPTION_LIMIT * queries) {
            found.reasons.add("the core was taken away in " + preemptions + " of " + queries + " queries");
        }
    }

    /** Largest relative difference between the medians of the rounds; 0 where the clock is too coarse to tell. */
    private static double noise(List<Times> rounds) {
        double least = Double.MAX_VALUE;
        double most = 0;
        for (Times times : rounds) {
            double median = times.percentiles(50)[0];
            least = Math.min(least, median);
            most = Math.max(most, median);
        }
        return least == 0 ? (most == 0 ? 0 : 1) : (most - least) / least;
    }

    /** Apps a second, best of the rounds: a disturbance only ever slows down. */
    private void tellThroughput(Measurement found, Runner runner, float[][] rows) {
        float[][] batch = new float[BATCH][];
        for (int i = 0; i < BATCH; i++) {
            batch[i] = rows[i % rows.length];
        }
        runner.scoreAll(batch);
        long best = Long.MAX_VALUE;
        for (int round = 0; round < BATCHES; round++) {
            long begin = clock.nanos();
            runner.scoreAll(batch);
            best = Math.min(best, clock.nanos() - begin);
        }
        found.figures.put("batch", BATCH);
        found.figures.put("rows_per_call", runner.rowsPerCall(BATCH));
        found.figures.put("throughput_apps_s", figure(BATCH / (Math.max(best, 1) / NANOS_IN_A_SECOND)));
    }
}
