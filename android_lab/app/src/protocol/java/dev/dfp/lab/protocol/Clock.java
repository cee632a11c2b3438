package dev.dfp.lab.protocol;

/** Where the protocol reads time, so that tests can give it one of their own. */
public interface Clock {
    /** Nanoseconds since some fixed moment; never goes back. */
    long nanos();

    /** The clock of this process. */
    Clock SYSTEM = System::nanoTime;
}
