package dev.dfp.lab.protocol;

import java.io.File;
import java.io.FileInputStream;
import java.io.FileOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/** One artifact of a session on one device: measured, held against the expected scores, and written as one JSON row. */
public final class Run {
    private final Session session;
    private final Device device;
    private final Clock clock;

    public Run(Session session, Device device, Clock clock) {
        this.session = session;
        this.device = device;
        this.clock = clock;
    }

    /**
     * Only the first steps, for a process of its own: `import_ms`, `cold_load_ms` and `first_us`.
     *
     * @throws IOException something that was pushed cannot be read
     */
    public Map<String, Object> load(String artifact, int threads) throws IOException {
        Card card = session.card(artifact);
        File model = session.model(artifact);
        float[][] rows = session.apps().rows(card);
        try (Runner runner = Runtimes.of(model.getName())) {
            return new Protocol(clock, Mode.QUICK, Progress.SILENT).load(runner, model, card, threads, rows[0]).figures;
        }
    }

    /**
     * The row of one artifact.
     *
     * @param coldLoads milliseconds of loads in earlier processes; this run's own joins them
     * @throws IOException something that was pushed cannot be read
     */
    public Map<String, Object> row(String artifact, Mode mode, int threads, List<Double> coldLoads, Progress progress)
            throws IOException {
        Card card = session.card(artifact);
        File model = session.model(artifact);
        float[][] rows = session.apps().rows(card);
        Device.State before = device.state();
        try (Runner runner = Runtimes.of(model.getName())) {
            Measurement found = new Protocol(clock, mode, progress).measure(runner, model, card, threads, rows);
            Device.State after = device.state();
            Long memory = device.peakMemory();
            Parity parity = Parity.of(runner, card, rows, session.expected(artifact));
            String disturbance = Facts.disturbance(before.thermal, after.thermal, before.powerSave);
            if (disturbance != null) {
                found.reasons.add(disturbance);
            }
            Map<String, Object> row = identity(artifact, card, model, runner, threads);
            row.putAll(device.facts());
            row.putAll(found.figures);
            tellLoads(row, coldLoads);
            row.put("peak_memory_kb", memory);
            row.put("parity_rows", parity.rows);
            row.put("parity_largest_difference", parity.largestDifference);
            row.put("parity_flipped", parity.flipped);
            tellState(row, before, after);
            row.put("valid", found.reasons.isEmpty());
            row.put("reasons", found.reasons);
            return row;
        }
    }

    private Map<String, Object> identity(String artifact, Card card, File model, Runner runner, int threads)
            throws IOException {
        Map<String, Object> row = new LinkedHashMap<>();
        row.put("protocol_version", Protocol.VERSION);
        row.put("session", session.name);
        row.put("lake_commit", session.lakeCommit);
        row.put("artifact", artifact);
        row.put("artifact_sha256", sha256(model));
        row.put("exporter", card.exporter);
        row.put("model", card.model);
        row.put("precision", card.precision);
        row.put("size_bytes", model.length());
        row.put("runtime", runner.name());
        row.put("runtime_version", runner.version());
        row.put("delegate", runner.delegate());
        row.put("threads", threads);
        return row;
    }

    private static void tellLoads(Map<String, Object> row, List<Double> earlier) {
        List<Double> loads = new ArrayList<>(earlier);
        loads.add((Double) row.get("cold_load_ms"));
        row.put("cold_load_ms", Measurement.median(loads));
        row.put("cold_loads_ms", loads);
    }

    private static void tellState(Map<String, Object> row, Device.State before, Device.State after) {
        row.put("battery_level_percent", before.batteryLevel);
        row.put("charging", before.charging);
        row.put("power_save", before.powerSave);
        row.put("battery_celsius_before", before.batteryTemperature);
        row.put("battery_celsius_after", after.batteryTemperature);
        row.put("thermal_status_before", Facts.thermal(before.thermal));
        row.put("thermal_status_after", Facts.thermal(after.thermal));
        row.put("thermal_headroom_before", before.headroom);
        row.put("thermal_headroom_after", after.headroom);
    }

    /**
     * Writes a row whole or not at all.
     *
     * @return results/session/artifact.json beneath the folder
     */
    public static File write(Map<String, Object> row, File results) throws IOException {
        File folder = new File(results, String.valueOf(row.get("session")));
        if (!folder.isDirectory() && !folder.mkdirs()) {
            throw new IOException("cannot make " + folder);
        }
        File place = new File(folder, row.get("artifact") + ".json");
        File unfinished = new File(folder, "." + place.getName());
        try (FileOutputStream out = new FileOutputStream(unfinished)) {
            out.write((Json.write(row) + "\n").getBytes(StandardCharsets.UTF_8));
            out.getFD().sync();
        }
        if (!unfinished.renameTo(place)) {
            throw new IOException("cannot write " + place);
        }
        return place;
    }

    /** Hex digest of a file's bytes. */
    static String sha256(File file) throws IOException {
        MessageDigest digest;
        try {
            digest = MessageDigest.getInstance("SHA-256");
        } catch (NoSuchAlgorithmException impossible) {
            throw new IllegalStateException("every Java has SHA-256", impossible);
        }
        byte[] buffer = new byte[1 << 16];
        try (InputStream in = new FileInputStream(file)) {
            for (int read = in.read(buffer); read >= 0; read = in.read(buffer)) {
                digest.update(buffer, 0, read);
            }
        }
        StringBuilder hex = new StringBuilder();
        for (byte b : digest.digest()) {
            hex.append(String.format("%02x", b));
        }
        return hex.toString();
    }
}
