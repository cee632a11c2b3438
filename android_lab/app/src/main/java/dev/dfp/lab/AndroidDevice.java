package dev.dfp.lab;

import android.content.Context;
import android.content.Intent;
import android.content.IntentFilter;
import android.content.pm.PackageManager;
import android.os.BatteryManager;
import android.os.Build;
import android.os.PowerManager;
import dev.dfp.lab.protocol.Device;
import dev.dfp.lab.protocol.Facts;
import java.io.File;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/** Reads this device. What Android or the kernel does not tell an app is null. */
final class AndroidDevice implements Device {
    private static final int HEADROOM_SECONDS = 0; // now, no forecast

    private final Context context;

    AndroidDevice(Context context) {
        this.context = context;
    }

    @Override
    public Map<String, Object> facts() {
        Map<String, Object> facts = new LinkedHashMap<>();
        facts.put("kind", Facts.kind(Build.HARDWARE, null));
        facts.put("manufacturer", Build.MANUFACTURER);
        facts.put("device", Build.MODEL);
        facts.put("soc", soc());
        facts.put("android", Build.VERSION.RELEASE);
        facts.put("sdk", Build.VERSION.SDK_INT);
        facts.put("build", Build.FINGERPRINT);
        facts.put("abi", Build.SUPPORTED_ABIS.length == 0 ? null : Build.SUPPORTED_ABIS[0]);
        facts.put("cores", Runtime.getRuntime().availableProcessors());
        facts.put("governor", governor());
        facts.put("cpuset", read("/proc/self/cpuset"));
        facts.put("app_version", appVersion());
        return facts;
    }

    private static String soc() {
        if (Build.VERSION.SDK_INT >= Build.VERSION_CODES.S && !Build.UNKNOWN.equals(Build.SOC_MODEL)) {
            return Build.SOC_MANUFACTURER + " " + Build.SOC_MODEL;
        }
        return Facts.line(read("/proc/cpuinfo"), "Hardware");
    }

    private static String governor() {
        List<String> read = new ArrayList<>();
        for (int core = 0; core < Runtime.getRuntime().availableProcessors(); core++) {
            read.add(read("/sys/devices/system/cpu/cpu" + core + "/cpufreq/scaling_governor"));
        }
        return Facts.governor(read);
    }

    private String appVersion() {
        try {
            return context.getPackageManager().getPackageInfo(context.getPackageName(), 0).versionName;
        } catch (PackageManager.NameNotFoundException impossible) {
            throw new IllegalStateException("an app knows itself", impossible);
        }
    }

    @Override
    public State state() {
        State state = new State();
        Intent battery = context.registerReceiver(null, new IntentFilter(Intent.ACTION_BATTERY_CHANGED));
        if (battery != null) {
            state.batteryTemperature =
                    Facts.celsius(battery.getIntExtra(BatteryManager.EXTRA_TEMPERATURE, Integer.MIN_VALUE));
            state.batteryLevel = Facts.level(
                    battery.getIntExtra(BatteryManager.EXTRA_LEVEL, -1),
                    battery.getIntExtra(BatteryManager.EXTRA_SCALE, -1));
            state.charging = battery.getIntExtra(BatteryManager.EXTRA_PLUGGED, 0) != 0;
        }
        PowerManager power = context.getSystemService(PowerManager.class);
        if (power != null) {
            state.powerSave = power.isPowerSaveMode();
            if (Build.VERSION.SDK_INT >= Build.VERSION_CODES.Q) {
                state.thermal = power.getCurrentThermalStatus();
            }
            if (Build.VERSION.SDK_INT >= Build.VERSION_CODES.R) {
                state.headroom = Facts.headroom(power.getThermalHeadroom(HEADROOM_SECONDS));
            }
        }
        return state;
    }

    @Override
    public Long peakMemory() {
        return Facts.peakMemory(read("/proc/self/status"));
    }

    private static String read(String path) {
        try {
            String text = new String(Files.readAllBytes(new File(path).toPath()), StandardCharsets.UTF_8).trim();
            return text.isEmpty() ? null : text;
        } catch (IOException | SecurityException unreadable) {
            return null;
        }
    }
}
