package dev.dfp.lab.protocol;

import java.io.File;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;

/** Where the protocol reads time and disturbances, so that tests can give it ones of their own. */
public interface Clock {
    /** Nanoseconds since some fixed moment; never goes back. */
    long nanos();

    /** Times the system took the processor from this thread so far; null where it does not tell. */
    Long preemptions();

    /** The clock of this process; the kernel counts preemptions of a thread. */
    Clock SYSTEM = new Clock() {
        @Override
        public long nanos() {
            return System.nanoTime();
        }

        @Override
        public Long preemptions() {
            try {
                byte[] status = Files.readAllBytes(new File("/proc/thread-self/status").toPath());
                return Facts.count(new String(status, StandardCharsets.UTF_8), "nonvoluntary_ctxt_switches");
            } catch (IOException | SecurityException unreadable) {
                return null;
            }
        }
    };
}
