package dev.dfp.lab.protocol;

import java.io.BufferedReader;
import java.io.File;
import java.io.FileInputStream;
import java.io.IOException;
import java.io.InputStreamReader;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;

/** Rows of apps as they were pushed: a CSV whose first columns are sha256 and package, the others features. */
public final class Apps {
    private static final int NAMES = 2;

    public final List<String> sha256 = new ArrayList<>();
    public final List<String> packages = new ArrayList<>();
    private final List<String> features;
    private final List<float[]> values = new ArrayList<>();

    private Apps(List<String> features) {
        this.features = features;
    }

    /**
     * The apps in a file. An empty cell is NaN: the model takes it as unknown.
     *
     * @throws IOException the file is no such CSV; the message names the line
     */
    public static Apps read(File file) throws IOException {
        try (BufferedReader lines = new BufferedReader(
                new InputStreamReader(new FileInputStream(file), StandardCharsets.UTF_8))) {
            String head = lines.readLine();
            String[] columns = head == null ? new String[0] : head.split(",", -1);
            if (columns.length <= NAMES || !columns[0].equals("sha256") || !columns[1].equals("package")) {
                throw new IOException(file.getName() + " does not begin with the columns sha256, package and features");
            }
            Apps apps = new Apps(Arrays.asList(columns).subList(NAMES, columns.length));
            int number = 1;
            for (String line = lines.readLine(); line != null; line = lines.readLine()) {
                number++;
                apps.add(line.split(",", -1), file.getName() + " line " + number);
            }
            return apps;
        }
    }

    private void add(String[] cells, String place) throws IOException {
        if (cells.length != features.size() + NAMES) {
            throw new IOException(place + " has " + cells.length + " cells, not " + (features.size() + NAMES));
        }
        float[] row = new float[features.size()];
        for (int i = 0; i < row.length; i++) {
            String cell = cells[i + NAMES];
            try {
                row[i] = cell.isEmpty() ? Float.NaN : Float.parseFloat(cell);
            } catch (NumberFormatException error) {
                throw new IOException(place + ": " + features.get(i) + " is no number", error);
            }
        }
        sha256.add(cells[0]);
        packages.add(cells[1]);
        values.add(row);
    }

    public int count() {
        return values.size();
    }

    /**
     * The rows as a model takes them.
     *
     * @throws IOException the file lacks a feature of the model
     */
    public float[][] rows(Card card) throws IOException {
        Map<String, Integer> places = new HashMap<>();
        for (int i = 0; i < features.size(); i++) {
            places.put(features.get(i), i);
        }
        float[][] rows = new float[values.size()][card.features.size()];
        for (int column = 0; column < card.features.size(); column++) {
            Integer place = places.get(card.features.get(column));
            if (place == null) {
                throw new IOException("the rows lack the feature " + card.features.get(column) + " of " + card.name);
            }
            for (int row = 0; row < rows.length; row++) {
                rows[row][column] = values.get(row)[place];
            }
        }
        return rows;
    }
}
