package dev.dfp.lab.runtimes;

import dev.dfp.lab.protocol.Answer;
import dev.dfp.lab.protocol.Card;
import dev.dfp.lab.protocol.Runner;
import java.io.File;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.FloatBuffer;
import java.util.HashMap;
import java.util.Map;
import org.tensorflow.lite.Interpreter;
import org.tensorflow.lite.TensorFlowLite;

/** LiteRT's interpreter on the processor, by XNNPACK. */
public final class LiteRtRunner implements Runner {
    private static final int BYTES_IN_A_FLOAT = 4;

    private Interpreter interpreter;
    private ByteBuffer input;
    private FloatBuffer values;
    private Object[] inputs;
    private final ByteBuffer score = floats(1);
    private final ByteBuffer error = floats(1);
    private final Map<Integer, Object> outputs = new HashMap<>();

    @Override
    public String name() {
        return "LiteRT";
    }

    @Override
    public String version() {
        return TensorFlowLite.runtimeVersion();
    }

    @Override
    public String delegate() {
        return "XNNPACK";
    }

    @Override
    public void prepare() {
        TensorFlowLite.init();
    }

    @Override
    public void load(File model, Card card, int threads) throws IOException {
        close();
        Interpreter.Options options = new Interpreter.Options().setNumThreads(threads).setUseXNNPACK(true);
        try {
            interpreter = new Interpreter(model, options);
        } catch (IllegalArgumentException | IllegalStateException wrong) {
            throw new IOException(model.getName() + " is no model that LiteRT can load: " + wrong.getMessage(), wrong);
        }
        input = floats(card.features.size());
        values = input.asFloatBuffer();
        inputs = new Object[] {input};
        outputs.clear();
        outputs.put(place(card.output, 0), score);
        outputs.put(place(card.errorOutput, 1), error);
    }

    /** Where the output of that name stands; a model whose outputs lost their names has the score first. */
    private int place(String name, int otherwise) {
        for (int i = 0; i < interpreter.getOutputTensorCount(); i++) {
            if (interpreter.getOutputTensor(i).name().equals(name)) {
                return i;
            }
        }
        return otherwise;
    }

    @Override
    public Answer score(float[] row) {
        values.clear();
        values.put(row);
        input.rewind();
        score.rewind();
        error.rewind();
        interpreter.runForMultipleInputsOutputs(inputs, outputs);
        return new Answer(score.getFloat(0), error.getFloat(0));
    }

    @Override
    public void close() {
        if (interpreter != null) {
            interpreter.close();
            interpreter = null;
        }
    }

    private static ByteBuffer floats(int count) {
        return ByteBuffer.allocateDirect(BYTES_IN_A_FLOAT * count).order(ByteOrder.nativeOrder());
    }
}
