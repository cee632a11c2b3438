package dev.dfp.lab.protocol;

/** How long one measurement takes at least: both limits hold. */
public enum Mode {
    /** A look: p99.9 of 1,024 queries is nearly the slowest one. */
    QUICK(1_024, 1_000_000_000L),
    /** A measurement. */
    FULL(1_024, 10_000_000_000L);

    public final int queries;
    public final long nanos;

    Mode(int queries, long nanos) {
        this.queries = queries;
        this.nanos = nanos;
    }

    /** The mode of that name, in any case. Throws IllegalArgumentException. */
    public static Mode of(String name) {
        return valueOf(name.toUpperCase(java.util.Locale.ROOT));
    }
}
