package dev.dfp.lab.protocol;

import java.io.File;
import java.io.IOException;

/** A runner whose answers and durations a test decides; its time is the test's clock. */
final class FakeRunner implements Runner, Clock {
    long now;
    long loadTakes = 5_000_000;
    long scoreTakes = 10_000;
    long prepareTakes = 2_000_000;
    Long preemptions = 0L;
    int asked;
    boolean closed;

    @Override
    public long nanos() {
        return now;
    }

    @Override
    public Long preemptions() {
        return preemptions;
    }

    @Override
    public void prepare() {
        now += prepareTakes;
    }

    @Override
    public String name() {
        return "fake";
    }

    @Override
    public String version() {
        return "1";
    }

    @Override
    public String delegate() {
        return "none";
    }

    @Override
    public void load(File model, Card card, int threads) throws IOException {
        now += loadTakes;
    }

    @Override
    public Answer score(float[] row) {
        asked++;
        now += scoreTakes;
        return new Answer(row[0], 2 * row[0]);
    }

    @Override
    public void close() {
        closed = true;
    }
}
