package dev.dfp.lab.runtimes;

import dev.dfp.lab.protocol.Answer;
import dev.dfp.lab.protocol.Card;
import dev.dfp.lab.protocol.Runner;
import java.io.File;
import java.io.IOException;
import org.pytorch.executorch.EValue;
import org.pytorch.executorch.Module;
import org.pytorch.executorch.Tensor;

/** ExecuTorch on the processor; the program says which parts XNNPACK takes. Its outputs have no names: the score is first. */
public final class ExecuTorchRunner implements Runner {
    private Module module;
    private long[] shape;

    @Override
    public String name() {
        return "ExecuTorch";
    }

    @Override
    public String version() {
        return null; // its Java API does not tell
    }

    @Override
    public String delegate() {
        return "XNNPACK";
    }

    @Override
    public void prepare() {
        try {
            Class.forName(Module.class.getName()); // its initialiser loads the library
        } catch (ClassNotFoundException impossible) {
            throw new IllegalStateException("the class is on the class path", impossible);
        }
    }

    @Override
    public void load(File model, Card card, int threads) throws IOException {
        close();
        shape = new long[] {1, card.features.size()};
        try {
            module = Module.load(model.getPath(), Module.LOAD_MODE_MMAP, threads);
        } catch (RuntimeException wrong) {
            throw new IOException(
                    model.getName() + " is no program that ExecuTorch can load: " + wrong.getMessage(), wrong);
        }
    }

    @Override
    public Answer score(float[] row) {
        EValue[] told = module.forward(EValue.from(Tensor.fromBlob(row, shape)));
        return new Answer(first(told[0]), first(told[1]));
    }

    @Override
    public void close() {
        if (module != null) {
            module.destroy();
            module = null;
        }
    }

    private static float first(EValue told) {
        return told.toTensor().getDataAsFloatArray()[0];
    }
}
