package dev.dfp.lab.protocol;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/** What one run of the protocol found. Its keys are columns of a device row. */
public final class Measurement {
    public final Map<String, Object> figures = new LinkedHashMap<>();

    /** Why the figures are not the model's own; empty: they are. */
    public final List<String> reasons = new ArrayList<>();

    /** Median milliseconds of loading in processes that had loaded nothing. */
    public static double median(List<Double> values) {
        List<Double> sorted = new ArrayList<>(values);
        java.util.Collections.sort(sorted);
        int middle = sorted.size() / 2;
        return sorted.size() % 2 == 1 ? sorted.get(middle) : (sorted.get(middle - 1) + sorted.get(middle)) / 2;
    }

    /** Four significant digits: more would be noise. */
    static double figure(double value) {
        if (value == 0 || Double.isNaN(value) || Double.isInfinite(value)) {
            return value;
        }
        return new java.math.BigDecimal(value).round(new java.math.MathContext(4)).doubleValue();
    }
}
