package dev.dfp.lab.protocol;

import java.util.Arrays;

/** Durations of queries in nanoseconds, and what is said of them. */
public final class Times {
    private static final int NANOS_IN_A_MICROSECOND = 1_000;

    private int[] nanos = new int[1_024];
    private int count;

    /** Adds one; more than two seconds count as two. */
    public void add(long duration) {
        if (count == nanos.length) {
            nanos = Arrays.copyOf(nanos, 2 * count);
        }
        nanos[count++] = (int) Math.min(Math.max(duration, 0), Integer.MAX_VALUE);
    }

    public int count() {
        return count;
    }

    /** These and those. */
    public static Times all(Iterable<Times> parts) {
        Times together = new Times();
        for (Times part : parts) {
            for (int i = 0; i < part.count; i++) {
                together.add(part.nanos[i]);
            }
        }
        return together;
    }

    /**
     * Microseconds within which that share of the queries was answered, linear between measured values ("type 7", as numpy).
     *
     * @param percents each within 0 and 100
     * @throws IllegalStateException nothing was measured
     */
    public double[] percentiles(double... percents) {
        if (count == 0) {
            throw new IllegalStateException("no query was measured");
        }
        int[] sorted = Arrays.copyOf(nanos, count);
        Arrays.sort(sorted);
        double[] found = new double[percents.length];
        for (int i = 0; i < percents.length; i++) {
            double place = percents[i] / 100 * (count - 1);
            int below = (int) Math.floor(place);
            int above = Math.min(below + 1, count - 1);
            found[i] = (sorted[below] + (place - below) * (sorted[above] - sorted[below])) / NANOS_IN_A_MICROSECOND;
        }
        return found;
    }
}
