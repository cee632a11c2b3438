package dev.dfp.lab.runtimes;

import ai.onnxruntime.OnnxTensor;
import ai.onnxruntime.OrtEnvironment;
import ai.onnxruntime.OrtException;
import ai.onnxruntime.OrtSession;
import dev.dfp.lab.protocol.Answer;
import dev.dfp.lab.protocol.Card;
import dev.dfp.lab.protocol.Runner;
import java.io.File;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.FloatBuffer;
import java.util.Collections;
import java.util.LinkedHashSet;
import java.util.Set;

/** ONNX Runtime on the processor; the same Java API on phones and on the JVM. */
public final class OnnxRuntimeRunner implements Runner {
    private static final int BYTES_IN_A_FLOAT = 4;

    private OrtSession session;
    private Card card;
    private FloatBuffer input;
    private OnnxTensor tensor;
    private final Set<String> asked = new LinkedHashSet<>();

    @Override
    public String name() {
        return "ONNX Runtime";
    }

    @Override
    public String version() {
        return OrtEnvironment.getEnvironment().getVersion();
    }

    @Override
    public String delegate() {
        return "";
    }

    @Override
    public void prepare() {
        OrtEnvironment.getEnvironment();
    }

    @Override
    public void load(File model, Card wanted, int threads) throws IOException {
        close();
        card = wanted;
        asked.clear();
        asked.add(card.output);
        asked.add(card.errorOutput);
        OrtEnvironment environment = OrtEnvironment.getEnvironment();
        try (OrtSession.SessionOptions options = new OrtSession.SessionOptions()) {
            options.setIntraOpNumThreads(threads);
            options.setInterOpNumThreads(1);
            session = environment.createSession(model.getPath(), options);
            input = floats(card.features.size());
            tensor = OnnxTensor.createTensor(environment, input, new long[] {1, card.features.size()});
        } catch (OrtException wrong) {
            close();
            throw new IOException(
                    model.getName() + " is no model that ONNX Runtime can load: " + wrong.getMessage(), wrong);
        }
    }

    @Override
    public Answer score(float[] row) {
        input.clear();
        input.put(row).rewind();
        try (OrtSession.Result told = session.run(Collections.singletonMap(card.input, tensor), asked)) {
            return new Answer(first(told, 0), first(told, 1));
        } catch (OrtException wrong) {
            throw new IllegalStateException("ONNX Runtime did not answer: " + wrong.getMessage(), wrong);
        }
    }

    @Override
    public void scoreAll(float[][] rows) {
        if (card.appsACall != null) {
            Runner.super.scoreAll(rows);
            return;
        }
        FloatBuffer all = floats(rows.length * card.features.size());
        for (float[] row : rows) {
            all.put(row);
        }
        all.rewind();
        long[] shape = {rows.length, card.features.size()};
        try (OnnxTensor batch = OnnxTensor.createTensor(OrtEnvironment.getEnvironment(), all, shape);
                OrtSession.Result told = session.run(Collections.singletonMap(card.input, batch), asked)) {
            if (((OnnxTensor) told.get(0)).getInfo().getShape()[0] != rows.length) {
                throw new IllegalStateException(card.name + " did not answer every row of a batch");
            }
        } catch (OrtException wrong) {
            throw new IllegalStateException("ONNX Runtime did not answer: " + wrong.getMessage(), wrong);
        }
    }

    @Override
    public int rowsPerCall(int rows) {
        return card.appsACall == null ? rows : 1;
    }

    @Override
    public void close() {
        if (tensor != null) {
            tensor.close();
            tensor = null;
        }
        if (session != null) {
            try {
                session.close();
            } catch (OrtException wrong) {
                throw new IllegalStateException("the session cannot be closed: " + wrong.getMessage(), wrong);
            }
            session = null;
        }
    }

    private static float first(OrtSession.Result told, int place) {
        return ((OnnxTensor) told.get(place)).getFloatBuffer().get(0);
    }

    private static FloatBuffer floats(int count) {
        return ByteBuffer.allocateDirect(BYTES_IN_A_FLOAT * count).order(ByteOrder.nativeOrder()).asFloatBuffer();
    }
}
