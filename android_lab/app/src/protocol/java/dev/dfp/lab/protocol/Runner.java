package dev.dfp.lab.protocol;

import java.io.File;
import java.io.IOException;

/**
 * One runtime. A new one is one class in a source set of its own, one line in {@link Runtimes} and one table in lab.toml.
 *
 * <p>A runner is used by one thread. The model standardises inside, so a row is raw feature values in the card's order.
 */
public interface Runner extends AutoCloseable {
    /** The runtime, as reports call it: "LiteRT". */
    String name();

    /** Its version as it tells it, or null. */
    String version();

    /** What computes beside the runtime's own operators: "XNNPACK"; empty: nothing. */
    String delegate();

    /** Brings the runtime's library into the process, so that a load is the model's own. */
    void prepare();

    /**
     * Makes a model ready.
     *
     * @param threads threads it may use for one query
     * @throws IOException the file cannot be read, or holds no model for this runtime
     */
    void load(File model, Card card, int threads) throws IOException;

    /** Score and reconstruction error of one row. The row is not kept. */
    Answer score(float[] row);

    /** Scores all rows as fast as the runtime can: in one call where the model takes many rows, else one by one. */
    default void scoreAll(float[][] rows) {
        for (float[] row : rows) {
            score(row);
        }
    }

    /** Rows that {@link #scoreAll} gives to the model in one call. */
    default int rowsPerCall(int rows) {
        return 1;
    }

    /** Frees the model; a second call does nothing. */
    @Override
    void close();
}
