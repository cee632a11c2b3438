package dev.dfp.lab.protocol;

import java.io.IOException;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Map;

/** What an artifact's card.json says, as far as a phone needs it. */
public final class Card {
    public final String name;
    public final String exporter;
    public final String precision;
    public final String model;
    public final String schemaHash;
    public final String input;
    public final String output;
    public final String errorOutput;
    /** How many apps one call takes; null: any number. */
    public final Integer appsACall;

    public final float threshold;
    public final List<String> features;

    private Card(Map<String, Object> told) throws IOException {
        name = text(told, "name");
        exporter = text(told, "exporter");
        precision = text(told, "precision");
        model = text(told, "model");
        schemaHash = text(told, "schema_hash");
        input = text(told, "input");
        output = text(told, "output");
        errorOutput = text(told, "error_output");
        Object calls = told.get("apps_a_call");
        appsACall = calls instanceof Double ? ((Double) calls).intValue() : null;
        Object limit = told.get("threshold");
        if (!(limit instanceof Double)) {
            throw new IOException("card.json has no number as threshold");
        }
        threshold = ((Double) limit).floatValue();
        Object named = told.get("features");
        if (!(named instanceof List) || ((List<?>) named).isEmpty()) {
            throw new IOException("card.json names no features");
        }
        List<String> listed = new ArrayList<>();
        for (Object feature : (List<?>) named) {
            listed.add(String.valueOf(feature));
        }
        features = Collections.unmodifiableList(listed);
    }

    /**
     * The card in these characters.
     *
     * @throws IOException they are no JSON, or something is missing
     */
    public static Card parse(String json) throws IOException {
        return new Card(Json.object(json));
    }

    /** Whether a score raises an alarm. */
    public boolean alarms(float score) {
        return score > threshold;
    }

    private static String text(Map<String, Object> told, String key) throws IOException {
        Object value = told.get(key);
        if (!(value instanceof String)) {
            throw new IOException("card.json has no " + key);
        }
        return (String) value;
    }
}
