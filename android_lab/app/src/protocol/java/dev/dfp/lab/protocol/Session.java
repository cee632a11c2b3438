package dev.dfp.lab.protocol;

import java.io.File;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;
import java.util.Map;

/**
 * What was pushed together, from one commit of one lake: session.json, rows.csv and one folder an artifact.
 *
 * <p>An artifact's folder holds its card.json, its one model file and expected.csv.
 */
public final class Session {
    private static final String ABOUT = "session.json";
    private static final String ROWS = "rows.csv";
    private static final String CARD = "card.json";
    private static final String EXPECTED = "expected.csv";

    public final File folder;
    public final String name;
    public final String lakeCommit;
    public final String championModel;
    public final List<String> artifacts;

    private Session(File folder, Map<String, Object> told) throws IOException {
        this.folder = folder;
        name = folder.getName();
        lakeCommit = (String) told.get("lake_commit");
        championModel = (String) told.get("champion_model");
        if (lakeCommit == null || !(told.get("artifacts") instanceof List)) {
            throw new IOException("session.json of " + name + " lacks lake_commit or artifacts");
        }
        List<String> named = new ArrayList<>();
        for (Object artifact : (List<?>) told.get("artifacts")) {
            named.add(String.valueOf(artifact));
        }
        artifacts = Collections.unmodifiableList(named);
    }

    /**
     * The session in a folder.
     *
     * @throws IOException nothing complete was pushed there
     */
    public static Session open(File folder) throws IOException {
        return new Session(folder, Json.object(text(new File(folder, ABOUT))));
    }

    /** The newest session among the folders beneath; null if none was pushed. Names begin with their time. */
    public static Session newest(File sessions) throws IOException {
        File[] complete = sessions.listFiles(folder -> new File(folder, ABOUT).isFile());
        if (complete == null || complete.length == 0) {
            return null;
        }
        Arrays.sort(complete);
        return open(complete[complete.length - 1]);
    }

    public Apps apps() throws IOException {
        return Apps.read(new File(folder, ROWS));
    }

    public Card card(String artifact) throws IOException {
        return Card.parse(text(new File(folder(artifact), CARD)));
    }

    public File expected(String artifact) throws IOException {
        return new File(folder(artifact), EXPECTED);
    }

    /**
     * The artifact's one model file.
     *
     * @throws IOException there is none, or more than one
     */
    public File model(String artifact) throws IOException {
        File[] found = folder(artifact).listFiles((place, file) -> file.startsWith("model."));
        if (found == null || found.length != 1) {
            throw new IOException(artifact + " of session " + name + " has not exactly one model file");
        }
        return found[0];
    }

    /** The artifact that stands for the champion on this build: of its model, full precision first; null if none runs. */
    public String champion() throws IOException {
        String quantised = null;
        for (String artifact : artifacts) {
            Card card = card(artifact);
            if (!card.model.equals(championModel) || !Runtimes.has(model(artifact).getName())) {
                continue;
            }
            if (card.precision.equals("fp32")) {
                return artifact;
            }
            quantised = artifact;
        }
        return quantised;
    }

    private File folder(String artifact) throws IOException {
        if (!artifacts.contains(artifact)) {
            throw new IOException("session " + name + " has no artifact " + artifact);
        }
        return new File(folder, artifact);
    }

    static String text(File file) throws IOException {
        return new String(Files.readAllBytes(file.toPath()), StandardCharsets.UTF_8);
    }
}
