package dev.dfp.lab.protocol;

/** How long one measurement takes at least: both limits hold, each spread over the rounds. */
public enum Mode {
    /** A look: p99.9 of 1,024 queries is nearly the slowest one. */
    QUICK(1_024, 250_000_000L, 4),
    /** A measurement. */
    FULL(1_024, 5_000_000_000L, 10);

    public final int queries;
    public final long nanos;
    public final int rounds;

    Mode(int queries, long nanos, int rounds) {
        this.queries = queries;
        this.nanos = nanos;
        this.rounds = rounds;
    }

    /** The mode of that name, in any case. Throws IllegalArgumentException. */
    public static Mode of(String name) {
        return valueOf(name.toUpperCase(java.util.Locale.ROOT));
    }
}
