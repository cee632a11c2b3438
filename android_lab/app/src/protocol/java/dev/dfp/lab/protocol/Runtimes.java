package dev.dfp.lab.protocol;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/** The runtimes there are, by the model files they take. A build may lack some: their classes are then not in the app. */
public final class Runtimes {
    private static final Map<String, String> BY_SUFFIX = new LinkedHashMap<>();

    static {
        BY_SUFFIX.put("onnx", "dev.dfp.lab.runtimes.OnnxRuntimeRunner");
        BY_SUFFIX.put("tflite", "dev.dfp.lab.runtimes.LiteRtRunner");
        BY_SUFFIX.put("pte", "dev.dfp.lab.runtimes.ExecuTorchRunner");
    }

    private Runtimes() {}

    /** Suffixes of the model files that this build can run. */
    public static List<String> suffixes() {
        List<String> found = new ArrayList<>();
        for (String suffix : BY_SUFFIX.keySet()) {
            if (has("model." + suffix)) {
                found.add(suffix);
            }
        }
        return found;
    }

    /** Whether this build can run that model file. */
    public static boolean has(String model) {
        String name = BY_SUFFIX.get(suffix(model));
        try {
            return name != null && Class.forName(name, false, Runtimes.class.getClassLoader()) != null;
        } catch (ClassNotFoundException error) {
            return false;
        }
    }

    /**
     * A runner for a model file.
     *
     * @throws UnsupportedOperationException no runtime of this build takes it; the message says which builds do
     */
    public static Runner of(String model) {
        String name = BY_SUFFIX.get(suffix(model));
        if (name == null) {
            throw new UnsupportedOperationException("no runtime takes " + model);
        }
        try {
            return (Runner) Class.forName(name).getDeclaredConstructor().newInstance();
        } catch (ClassNotFoundException error) {
            throw new UnsupportedOperationException(
                    "this build has no runtime for " + model + "; the Gradle build has all of them", error);
        } catch (ReflectiveOperationException error) {
            throw new IllegalStateException(name + " cannot be made", error);
        }
    }

    private static String suffix(String model) {
        return model.substring(model.lastIndexOf('.') + 1);
    }
}
