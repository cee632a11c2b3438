package dev.dfp.lab.protocol;

import java.util.Map;

/** The device that measures. What cannot be read is null. */
public interface Device {
    /** What does not change: columns of a device row. */
    Map<String, Object> facts();

    /** How it is just now. */
    State state();

    /** Kilobytes of the process's largest memory so far; null if unreadable. */
    Long peakMemory();

    /** A moment's state. */
    final class State {
        /** Degrees Celsius of the battery. */
        public Double batteryTemperature;
        /** Charge in percent. */
        public Double batteryLevel;
        public Boolean charging;
        public Boolean powerSave;
        /** Android's thermal status, 0 to 6. */
        public Integer thermal;
        /** Share of the way to throttling. */
        public Double headroom;
    }
}
