package dev.dfp.lab.protocol;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.File;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class SessionTest {
    private static final String ROWS = "sha256,package,perm_b,sys_a\naa,org.one,1,0.25\nbb,org.two,,0.75\n";

    @TempDir
    Path folder;

    @BeforeEach
    void push() throws IOException {
        Path place = folder.resolve("20261126-one");
        write(place, "session.json", "{\"lake_commit\":\"c0\",\"champion_model\":\"ae\",\"artifacts\":[\"ae_onnx\",\"ae_pte\"]}");
        write(place, "rows.csv", ROWS);
        write(place.resolve("ae_onnx"), "card.json", ProtocolTest.CARD);
        write(place.resolve("ae_onnx"), "model.onnx", "not really");
        write(place.resolve("ae_onnx"), "expected.csv", "score\n0.25\n0.3\n");
    }

    static void write(Path folder, String name, String text) throws IOException {
        Files.createDirectories(folder);
        Files.write(folder.resolve(name), text.getBytes(StandardCharsets.UTF_8));
    }

    private Session session() throws IOException {
        return Session.newest(folder.toFile());
    }

    @Test
    void theNewestSessionIsTheLastByName() throws IOException {
        write(folder.resolve("20261127-two"), "session.json", "{\"lake_commit\":\"c1\",\"artifacts\":[]}");
        assertEquals("c1", session().lakeCommit);
        assertNull(Session.newest(new File(folder.toFile(), "nothing")));
    }

    @Test
    void rowsComeInTheCardsOrderAndAnEmptyCellIsUnknown() throws IOException {
        float[][] rows = session().apps().rows(session().card("ae_onnx"));
        assertArrayEquals(new float[] {0.25f, 1f}, rows[0]);
        assertArrayEquals(new float[] {0.75f, Float.NaN}, rows[1]);
        assertEquals("org.two", session().apps().packages.get(1));
    }

    @Test
    void brokenRowsNameTheirLine() throws IOException {
        File file = new File(folder.toFile(), "rows.csv");
        for (String broken : new String[] {"", "package,sha256,a\n", "sha256,package,a\nx,y\n", "sha256,package,a\nx,y,z\n"}) {
            Files.write(file.toPath(), broken.getBytes(StandardCharsets.UTF_8));
            assertTrue(assertThrows(IOException.class, () -> Apps.read(file)).getMessage().startsWith("rows.csv"));
        }
        write(folder, "rows.csv", "sha256,package,sys_a\nx,y,1\n");
        Card card = session().card("ae_onnx");
        assertThrows(IOException.class, () -> Apps.read(file).rows(card));
    }

    @Test
    void aSessionWithoutWhatItNamesIsRefused() throws IOException {
        assertThrows(IOException.class, () -> session().card("ae_pte"));
        assertThrows(IOException.class, () -> session().model("ae_pte"));
        assertThrows(IOException.class, () -> session().card("../ae_onnx"));
        write(folder.resolve("20261127-two"), "session.json", "{\"artifacts\":[]}");
        assertThrows(IOException.class, this::session);
    }

    @Test
    void parityCountsFlippedLabels() throws IOException {
        Session session = session();
        Card card = session.card("ae_onnx");
        Parity parity = Parity.of(new FakeRunner(), card, session.apps().rows(card), session.expected("ae_onnx"));
        assertEquals(2, parity.rows);
        assertEquals(1, parity.flipped);
        assertEquals(0.45, parity.largestDifference, 1e-7);
        write(session.folder.toPath().resolve("ae_onnx"), "expected.csv", "score\n0.25\n");
        assertThrows(
                IOException.class,
                () -> Parity.of(new FakeRunner(), card, session.apps().rows(card), session.expected("ae_onnx")));
    }

    @Test
    void aModelForNoRuntimeSaysSo() {
        assertTrue(Runtimes.has("model.onnx"));
        assertThrows(UnsupportedOperationException.class, () -> Runtimes.of("model.tflite"), "no LiteRT on the JVM");
        assertThrows(UnsupportedOperationException.class, () -> Runtimes.of("model.txt"));
    }
}
