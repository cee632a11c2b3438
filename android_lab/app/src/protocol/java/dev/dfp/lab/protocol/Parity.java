package dev.dfp.lab.protocol;

import java.io.BufferedReader;
import java.io.File;
import java.io.FileInputStream;
import java.io.IOException;
import java.io.InputStreamReader;
import java.nio.charset.StandardCharsets;

/** Does the phone say what the computer that exported the model says? */
public final class Parity {
    public final int rows;

    /** Largest |a - b| of two scores. */
    public final double largestDifference;

    /** Rows whose label differs. */
    public final int flipped;

    private Parity(int rows, double largestDifference, int flipped) {
        this.rows = rows;
        this.largestDifference = largestDifference;
        this.flipped = flipped;
    }

    /**
     * Answers to the rows held against expected.csv: a header, then one score a line, in the rows' order.
     *
     * @throws IOException the file has another number of scores than there are rows, or is no such CSV
     */
    public static Parity of(Runner runner, Card card, float[][] rows, File expected) throws IOException {
        double largest = 0;
        int flipped = 0;
        try (BufferedReader lines = new BufferedReader(
                new InputStreamReader(new FileInputStream(expected), StandardCharsets.UTF_8))) {
            if (!"score".equals(lines.readLine())) {
                throw new IOException(expected.getName() + " has no column score");
            }
            for (float[] row : rows) {
                String line = lines.readLine();
                if (line == null) {
                    throw new IOException(expected.getName() + " has fewer scores than there are rows");
                }
                float told = runner.score(row).score;
                float wanted = Float.parseFloat(line);
                double difference = Math.abs((double) told - wanted);
                largest = Double.isNaN(difference) ? Double.MAX_VALUE : Math.max(largest, difference);
                flipped += card.alarms(told) == card.alarms(wanted) ? 0 : 1;
            }
            if (lines.readLine() != null) {
                throw new IOException(expected.getName() + " has more scores than there are rows");
            }
        }
        return new Parity(rows.length, largest, flipped);
    }
}
