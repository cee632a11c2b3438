package org.pytorch.executorch;

/** A double with the signatures that the runner calls. */
public class Tensor {
    final float[] values;
    final long[] shape;

    private Tensor(float[] values, long[] shape) {
        this.values = values;
        this.shape = shape;
    }

    public static Tensor fromBlob(float[] values, long[] shape) {
        return new Tensor(values, shape);
    }

    public float[] getDataAsFloatArray() {
        return values;
    }
}
