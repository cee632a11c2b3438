package dev.dfp.lab.runtimes;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.dfp.lab.protocol.Answer;
import dev.dfp.lab.protocol.Card;
import java.io.File;
import java.io.IOException;
import org.junit.jupiter.api.Test;
import org.pytorch.executorch.Module;

/** Against a double of ExecuTorch's Java API in this folder: its library has no build for the JVM. */
class ExecuTorchRunnerTest {
    private static final String CARD = "{\"name\":\"ae_executorch\",\"exporter\":\"executorch\",\"precision\":\"fp32\","
            + "\"model\":\"ae\",\"schema_hash\":\"h\",\"input\":\"features\",\"output\":\"score\","
            + "\"error_output\":\"reconstruction_error\",\"threshold\":0.5,\"features\":[\"sys_a\",\"perm_b\"]}";

    @Test
    void theScoreIsTheFirstOutputAndTheErrorTheSecond() throws IOException {
        ExecuTorchRunner runner = new ExecuTorchRunner();
        runner.load(new File("model.pte"), Card.parse(CARD), 3);
        Answer answer = runner.score(new float[] {0.25f, 4});
        assertEquals(0.25f, answer.score);
        assertEquals(4f, answer.error);
        assertEquals("model.pte mode 1 threads 3 shape [1, 2]", Module.last.told);
        runner.close();
        runner.close();
        assertTrue(Module.last.destroyed);
    }

    @Test
    void aFileThatIsNoProgramIsNamed() throws IOException {
        Card card = Card.parse(CARD);
        IOException wrong =
                assertThrows(IOException.class, () -> new ExecuTorchRunner().load(new File("broken.pte"), card, 1));
        assertTrue(wrong.getMessage().startsWith("broken.pte is no program that ExecuTorch can load"));
    }
}
