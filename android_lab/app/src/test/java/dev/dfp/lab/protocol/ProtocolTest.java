package dev.dfp.lab.protocol;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.File;
import java.io.IOException;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import org.junit.jupiter.api.Test;

class ProtocolTest {
    static final String CARD = "{\"name\":\"ae_onnx\",\"exporter\":\"onnx\",\"precision\":\"fp32\",\"model\":\"ae\","
            + "\"schema_hash\":\"h\",\"input\":\"features\",\"output\":\"score\",\"error_output\":\"reconstruction_error\","
            + "\"threshold\":0.5,\"features\":[\"sys_a\",\"perm_b\"]}";
    private static final File MODEL = new File("model.onnx");
    private static final float[][] ROWS = {{0.25f, 1}, {0.75f, 2}};

    private final FakeRunner runner = new FakeRunner();

    private Measurement measured(Mode mode) throws IOException {
        return new Protocol(runner, mode, Progress.SILENT).measure(runner, MODEL, Card.parse(CARD), 1, ROWS);
    }

    @Test
    void aSteadyRunnerIsMeasuredExactlyAndIsValid() throws IOException {
        Measurement found = measured(Mode.QUICK);
        assertEquals(2.0, found.figures.get("import_ms"));
        assertEquals(5.0, found.figures.get("cold_load_ms"));
        assertEquals(10.0, found.figures.get("first_us"));
        for (String figure : Arrays.asList("p50_us", "p90_us", "p99_us", "p999_us", "max_us")) {
            assertEquals(10.0, found.figures.get(figure), figure);
        }
        assertEquals(0.0, found.figures.get("noise"));
        assertEquals(100_000.0, found.figures.get("throughput_apps_s"));
        assertEquals(1, found.figures.get("rows_per_call"));
        assertEquals("quick", found.figures.get("mode"));
        assertTrue(found.reasons.isEmpty());
    }

    @Test
    void aFastRunnerIsAskedForTheWholeDuration() throws IOException {
        Measurement quick = measured(Mode.QUICK);
        assertEquals(25_000, quick.figures.get("queries"), "a quarter of a second of 10 us queries");
        assertEquals(0.25, quick.figures.get("seconds"));
        Measurement full = measured(Mode.FULL);
        assertEquals(500_000, full.figures.get("queries"));
        assertEquals(10, full.figures.get("rounds"));
    }

    @Test
    void aSlowRunnerIsAskedEnoughQueries() throws IOException {
        runner.scoreTakes = 20_000_000;
        Measurement found = measured(Mode.QUICK);
        assertEquals(1_024, found.figures.get("queries"));
        assertEquals(20.48, found.figures.get("seconds"));
    }

    @Test
    void everyQueryIsOneOfTheRowsInTurnAfterTheWarmUp() throws IOException {
        runner.scoreTakes = 20_000_000;
        measured(Mode.QUICK);
        int once = 1;
        assertEquals(once + Protocol.WARM_UP + 1_024 + 5 * Protocol.BATCH, runner.asked);
    }

    @Test
    void aRoundThatIsSlowerMakesTheRowInvalidWithTheReason() throws IOException {
        Progress slower = (stage, done, total) -> runner.scoreTakes = stage.equals("queries") && done == 3 ? 14_000 : 10_000;
        Measurement found =
                new Protocol(runner, Mode.QUICK, slower).measure(runner, MODEL, Card.parse(CARD), 1, ROWS);
        assertEquals(0.4, found.figures.get("noise"));
        assertEquals(Arrays.asList("medians of the rounds differ by 40 %, more than 25 %"), found.reasons);
    }

    @Test
    void preemptionsMakeTheRowInvalidAndMayBeUnknown() throws IOException {
        Progress busy = (stage, done, total) -> runner.preemptions += stage.equals("queries") ? 50 : 0;
        Measurement found = new Protocol(runner, Mode.QUICK, busy).measure(runner, MODEL, Card.parse(CARD), 1, ROWS);
        assertEquals(200L, found.figures.get("preemptions"));
        assertEquals(Arrays.asList("the core was taken away in 200 of 25000 queries"), found.reasons);
        runner.preemptions = null;
        Measurement untold = measured(Mode.QUICK);
        assertEquals(null, untold.figures.get("preemptions"));
        assertTrue(untold.reasons.isEmpty());
    }

    @Test
    void progressIsToldRoundByRound() throws IOException {
        List<String> told = new ArrayList<>();
        new Protocol(runner, Mode.QUICK, (stage, done, total) -> told.add(stage + done))
                .measure(runner, MODEL, Card.parse(CARD), 1, ROWS);
        assertEquals(
                Arrays.asList("load0", "warm-up0", "queries0", "queries1", "queries2", "queries3", "batch0"), told);
    }

    @Test
    void rowsOfAnotherWidthAreRefused() {
        Protocol protocol = new Protocol(runner, Mode.QUICK, Progress.SILENT);
        IllegalArgumentException wrong = assertThrows(
                IllegalArgumentException.class,
                () -> protocol.measure(runner, MODEL, Card.parse(CARD), 1, new float[][] {{1}}));
        assertEquals("ae_onnx takes 2 features, not 1", wrong.getMessage());
        assertThrows(
                IllegalArgumentException.class,
                () -> protocol.measure(runner, MODEL, Card.parse(CARD), 1, new float[0][]));
    }

    @Test
    void percentilesAreThoseOfNumpy() {
        Times times = new Times();
        for (int micros : new int[] {40, 10, 30, 20}) {
            times.add(1_000L * micros);
        }
        assertEquals("[25.0, 37.0, 39.7, 40.0]", Arrays.toString(times.percentiles(50, 90, 99, 100)));
        assertThrows(IllegalStateException.class, () -> new Times().percentiles(50));
    }

    @Test
    void aModeNeedsItsName() {
        assertEquals(Mode.FULL, Mode.of("full"));
        assertThrows(IllegalArgumentException.class, () -> Mode.of("endless"));
    }

    @Test
    void theMedianOfLoadsIsTheMiddleOne() {
        assertEquals(3.0, Measurement.median(Arrays.asList(9.0, 1.0, 3.0)));
        assertEquals(2.0, Measurement.median(Arrays.asList(1.0, 3.0)));
    }
}
