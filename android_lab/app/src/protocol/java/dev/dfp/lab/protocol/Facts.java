package dev.dfp.lab.protocol;

import java.util.Arrays;
import java.util.Collection;
import java.util.List;
import java.util.Locale;
import java.util.TreeSet;

/** What raw readings of a device mean. A reading that was not to be had is null, and stays null. */
public final class Facts {
    private static final List<String> EMULATORS = Arrays.asList("goldfish", "ranchu", "cutf_cvm", "vbox86");
    private static final String[] THERMAL =
            {"none", "light", "moderate", "severe", "critical", "emergency", "shutdown"};

    /** From this thermal status on, the system slows the processor down. */
    private static final int THROTTLED = 2;

    private Facts() {}

    /** "emulator" or "phone", by what `ro.hardware` and `ro.kernel.qemu` say. */
    public static String kind(String hardware, String qemu) {
        boolean emulated = "1".equals(qemu) || (hardware != null && EMULATORS.contains(hardware.toLowerCase(Locale.ROOT)));
        return emulated ? "emulator" : "phone";
    }

    /** The governors of all cores, each named once: "schedutil", "performance+powersave"; null if none was readable. */
    public static String governor(Collection<String> read) {
        TreeSet<String> names = new TreeSet<>();
        for (String name : read) {
            if (name != null && !name.trim().isEmpty()) {
                names.add(name.trim());
            }
        }
        return names.isEmpty() ? null : String.join("+", names);
    }

    /** Degrees Celsius of a battery reading in tenths; null where the system gave none. */
    public static Double celsius(int tenths) {
        return tenths == Integer.MIN_VALUE ? null : tenths / 10.0;
    }

    /** Charge in percent; null where the system gave none. */
    public static Double level(int level, int scale) {
        return level < 0 || scale <= 0 ? null : Measurement.figure(100.0 * level / scale);
    }

    /** The thermal status by name; null where the system gave none. */
    public static String thermal(Integer status) {
        return status == null || status < 0 || status >= THERMAL.length ? null : THERMAL[status];
    }

    /** Headroom before throttling, 1 is where it begins; null where the system cannot tell. */
    public static Double headroom(float told) {
        return Float.isNaN(told) || told < 0 ? null : Measurement.figure(told);
    }

    /** Why the device's state spoils a measurement; null: it does not. */
    public static String disturbance(Integer thermalBefore, Integer thermalAfter, Boolean powerSave) {
        if (Boolean.TRUE.equals(powerSave)) {
            return "battery saver was on";
        }
        if (thermalBefore != null && thermalBefore >= THROTTLED) {
            return "the device was hot before: thermal status " + thermal(thermalBefore);
        }
        if (thermalAfter != null && thermalAfter >= THROTTLED) {
            return "the device grew hot: thermal status " + thermal(thermalAfter);
        }
        return null;
    }

    /** The value of a line "Name:  value" of a file such as /proc/cpuinfo; null if there is none. */
    public static String line(String text, String name) {
        if (text == null) {
            return null;
        }
        for (String line : text.split("\n")) {
            int colon = line.indexOf(':');
            if (colon > 0 && line.substring(0, colon).trim().equals(name)) {
                String value = line.substring(colon + 1).trim();
                return value.isEmpty() ? null : value;
            }
        }
        return null;
    }

    /** Kilobytes of a line "VmHWM:  1234 kB" of /proc/self/status: the process's largest memory; null if unreadable. */
    public static Long peakMemory(String status) {
        String told = line(status, "VmHWM");
        return told == null || !told.endsWith(" kB") ? null : number(told.substring(0, told.length() - 3));
    }

    /** The number on a line "name: 12" of a kernel's file; null if there is none. */
    public static Long count(String text, String name) {
        String told = line(text, name);
        return told == null ? null : number(told);
    }

    private static Long number(String digits) {
        return digits.matches("\\d+") ? Long.valueOf(digits) : null;
    }
}
