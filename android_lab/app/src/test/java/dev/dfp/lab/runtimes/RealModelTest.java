package dev.dfp.lab.runtimes;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.dfp.lab.protocol.Card;
import dev.dfp.lab.protocol.Clock;
import dev.dfp.lab.protocol.Device;
import dev.dfp.lab.protocol.Json;
import dev.dfp.lab.protocol.Mode;
import dev.dfp.lab.protocol.Progress;
import dev.dfp.lab.protocol.Protocol;
import dev.dfp.lab.protocol.Run;
import dev.dfp.lab.protocol.Session;
import java.io.File;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** A session as `dfp device run` pushes it, with a model that dfp exported: -Ddfp.session=FOLDER. */
class RealModelTest {
    private static final String ARTIFACT = "autoencoder_onnx";

    @TempDir
    Path folder;

    private static Session session() throws IOException {
        return Session.open(new File(System.getProperty("dfp.session")));
    }

    private Map<String, Object> row() throws IOException {
        Run run = new Run(session(), new Desk(), Clock.SYSTEM);
        return run.row(ARTIFACT, Mode.QUICK, 1, Arrays.asList(1.0, 2.0), Progress.SILENT);
    }

    @Test
    void javaSaysWhatPythonSaidOfEveryRow() throws IOException {
        Map<String, Object> row = row();
        assertEquals(session().apps().count(), row.get("parity_rows"));
        assertTrue((int) row.get("parity_rows") >= 64);
        assertEquals(0, row.get("parity_flipped"));
        assertTrue((double) row.get("parity_largest_difference") <= 2e-5, row.toString());
    }

    @Test
    void theRowIsWrittenWholeForPythonToJudge() throws IOException {
        File place = Run.write(row(), new File(System.getProperty("dfp.session"), "results"));
        Map<String, Object> read =
                Json.object(new String(Files.readAllBytes(place.toPath()), StandardCharsets.UTF_8));
        assertEquals(Protocol.VERSION, read.get("protocol_version"));
        assertEquals("ONNX Runtime", read.get("runtime"));
        assertEquals((double) Protocol.BATCH, read.get("rows_per_call"));
        assertEquals(1, place.getParentFile().list().length, "no unfinished file is left");
        assertEquals(3, ((java.util.List<?>) read.get("cold_loads_ms")).size());
    }

    @Test
    void aLoadByItselfTellsThreeFigures() throws IOException {
        Map<String, Object> told = new Run(session(), new Desk(), Clock.SYSTEM).load(ARTIFACT, 1);
        assertEquals(3, told.size());
        assertTrue((double) told.get("cold_load_ms") > 0);
    }

    @Test
    void theChampionIsTheArtifactOfItsModelThatRunsHere() throws IOException {
        assertEquals(ARTIFACT, session().champion());
    }

    @Test
    void bytesThatAreNoModelAreNamed() throws IOException {
        Path broken = folder.resolve("model.onnx");
        Files.write(broken, new byte[] {1, 2, 3});
        Card card = session().card(ARTIFACT);
        try (OnnxRuntimeRunner runner = new OnnxRuntimeRunner()) {
            IOException wrong = assertThrows(IOException.class, () -> runner.load(broken.toFile(), card, 1));
            assertTrue(wrong.getMessage().startsWith("model.onnx is no model that ONNX Runtime can load"));
        }
    }

    /** The machine that runs the tests; it is no phone, and its rows are used by nothing but tests. */
    private static final class Desk implements Device {
        @Override
        public Map<String, Object> facts() {
            Map<String, Object> facts = new LinkedHashMap<>();
            facts.put("kind", "phone");
            facts.put("manufacturer", "test");
            facts.put("device", "test");
            facts.put("soc", null);
            facts.put("android", "0");
            facts.put("sdk", 26);
            facts.put("build", "test");
            facts.put("abi", "x86_64");
            facts.put("cores", 2);
            facts.put("governor", null);
            facts.put("cpuset", null);
            facts.put("app_version", "0.1.0");
            return facts;
        }

        @Override
        public State state() {
            State state = new State();
            state.batteryTemperature = 30.5;
            state.thermal = 0;
            return state;
        }

        @Override
        public Long peakMemory() {
            return 1_000L;
        }
    }
}
