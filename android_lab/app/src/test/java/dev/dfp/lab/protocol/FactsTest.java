package dev.dfp.lab.protocol;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNull;

import java.util.Arrays;
import java.util.Collections;
import org.junit.jupiter.api.Test;

class FactsTest {
    @Test
    void emulatorsAndPhonesAreToldApart() {
        assertEquals("emulator", Facts.kind("ranchu", null));
        assertEquals("emulator", Facts.kind("Goldfish", ""));
        assertEquals("emulator", Facts.kind("qcom", "1"));
        assertEquals("phone", Facts.kind("qcom", "0"));
        assertEquals("phone", Facts.kind(null, null));
    }

    @Test
    void governorsOfAllCoresAreNamedOnce() {
        assertEquals("performance+schedutil", Facts.governor(Arrays.asList("schedutil\n", null, "performance", "schedutil")));
        assertNull(Facts.governor(Arrays.asList(null, " ")));
        assertNull(Facts.governor(Collections.emptyList()));
    }

    @Test
    void whatTheBatteryDoesNotTellStaysUnknown() {
        assertEquals(31.4, Facts.celsius(314));
        assertEquals(-2.5, Facts.celsius(-25));
        assertNull(Facts.celsius(Integer.MIN_VALUE));
        assertEquals(50.0, Facts.level(100, 200));
        assertNull(Facts.level(-1, 100));
        assertNull(Facts.level(5, 0));
    }

    @Test
    void heatIsNamedOrUnknown() {
        assertEquals("none", Facts.thermal(0));
        assertEquals("severe", Facts.thermal(3));
        assertNull(Facts.thermal(null));
        assertNull(Facts.thermal(99));
        assertEquals(0.63, Facts.headroom(0.63f));
        assertNull(Facts.headroom(Float.NaN));
    }

    @Test
    void heatAndBatterySaverSpoilAMeasurement() {
        assertNull(Facts.disturbance(1, 1, false));
        assertNull(Facts.disturbance(null, null, null));
        assertEquals("battery saver was on", Facts.disturbance(0, 0, true));
        assertEquals("the device was hot before: thermal status moderate", Facts.disturbance(2, 0, false));
        assertEquals("the device grew hot: thermal status severe", Facts.disturbance(0, 3, null));
    }

    @Test
    void linesOfKernelFilesAreRead() {
        assertEquals("Qualcomm SM8550", Facts.line("processor\t: 0\nHardware\t: Qualcomm SM8550\n", "Hardware"));
        assertNull(Facts.line("processor\t: 0\n", "Hardware"));
        assertNull(Facts.line(null, "Hardware"));
        assertEquals(81_234L, Facts.peakMemory("VmPeak:\t 90000 kB\nVmHWM:\t   81234 kB\n"));
        assertEquals(7L, Facts.count("nonvoluntary_ctxt_switches:\t7\n", "nonvoluntary_ctxt_switches"));
        assertNull(Facts.count("nonvoluntary_ctxt_switches:\tmany\n", "nonvoluntary_ctxt_switches"));
        assertNull(Facts.peakMemory("VmHWM:\tmuch\n"));
        assertNull(Facts.peakMemory(null));
    }
}
