package dev.dfp.lab;

import static org.junit.Assert.assertEquals;
import static org.junit.Assert.assertNotNull;
import static org.junit.Assert.assertTrue;

import android.app.Activity;
import android.content.Context;
import android.content.res.TypedArray;
import android.graphics.Color;
import android.view.View;
import android.widget.TextView;
import dev.dfp.lab.protocol.Session;
import java.io.File;
import org.junit.Test;
import org.junit.runner.RunWith;
import org.robolectric.Robolectric;
import org.robolectric.RobolectricTestRunner;
import org.robolectric.RuntimeEnvironment;
import org.robolectric.annotation.Config;
import org.robolectric.shadows.ShadowLooper;

/** The screens by Robolectric: Android's own classes on this JVM, ONNX Runtime with a real model beneath. */
@RunWith(RobolectricTestRunner.class)
@Config(sdk = 34)
public class ScreensTest {
    private static final double READABLE = 4.5; // contrast of text by WCAG 2.1, level AA
    private static final int PATIENCE = 600;

    private final Context context = RuntimeEnvironment.getApplication();

    private static View opened(Class<? extends Activity> screen) {
        View view = Robolectric.buildActivity(screen).setup().get().getWindow().getDecorView();
        ShadowLooper.idleMainLooper();
        return view;
    }

    @Test
    public void theFirstScreenScoresAnAppWithTheChampion() throws Exception {
        Pushed.session(context);
        Session session = Session.newest(Places.sessions(context));
        String shown = Pushed.text(opened(MainActivity.class));
        String expected = new String(java.nio.file.Files.readAllBytes(session.expected(session.champion()).toPath()))
                .split("\n")[1];
        assertTrue(shown, shown.contains(String.format("Score %.4f (alarm above", Float.parseFloat(expected))));
        assertTrue(shown, shown.contains("Lake commit " + session.lakeCommit));
        assertTrue(shown, shown.contains("Reconstruction error"));
        assertTrue(shown, shown.contains("on ONNX Runtime"));
        assertTrue(shown, shown.contains(context.getString(R.string.alarm)) != shown.contains("No alarm"));
    }

    @Test
    public void withoutASessionTheFirstScreenSaysWhatToDo() {
        assertTrue(Pushed.text(opened(MainActivity.class)).contains("dfp device run --keep"));
        assertTrue(Pushed.text(opened(CompareActivity.class)).contains("dfp device run --keep"));
    }

    @Test
    public void aBrokenSessionIsToldAndDoesNotCrash() throws Exception {
        File folder = new File(Places.sessions(context), Pushed.session(context));
        assertTrue(new File(folder, "rows.csv").delete());
        assertTrue(Pushed.text(opened(MainActivity.class)).contains("It did not work"));
    }

    @Test
    public void runtimesAreComparedAndTheirRowsWritten() throws Exception {
        String session = Pushed.session(context);
        View screen = opened(CompareActivity.class);
        Pushed.showing(screen, context.getString(R.string.start)).performClick();
        File row = new File(Places.results(context), session + "/autoencoder_onnx.json");
        for (int i = 0; i < PATIENCE && !Pushed.text(screen).contains("median"); i++) {
            Thread.sleep(50);
            ShadowLooper.idleMainLooper();
        }
        String shown = Pushed.text(screen);
        assertTrue(shown, shown.contains("0 of 256 labels differ"));
        assertTrue(row.isFile());
    }

    @Test
    public void byDayTextIsReadable() throws Exception {
        assertTrue(backgroundLight());
    }

    @Test
    @Config(qualifiers = "night")
    public void byNightTextIsReadableAndTheScreenDark() throws Exception {
        assertEquals(false, backgroundLight());
    }

    /** Whether the background is light; fails where text on it is hard to read. */
    private boolean backgroundLight() throws Exception {
        Pushed.session(context);
        Activity screen = Robolectric.buildActivity(MainActivity.class).setup().get();
        ShadowLooper.idleMainLooper();
        TextView text = Pushed.showing(screen.getWindow().getDecorView(), context.getString(R.string.choose));
        assertNotNull(text);
        TypedArray theme = screen.obtainStyledAttributes(new int[] {android.R.attr.colorBackground});
        double background = Color.luminance(theme.getColor(0, Color.TRANSPARENT));
        theme.recycle();
        double letters = Color.luminance(text.getCurrentTextColor());
        double contrast = (Math.max(background, letters) + 0.05) / (Math.min(background, letters) + 0.05);
        assertTrue("contrast " + contrast, contrast >= READABLE);
        return background > letters;
    }
}
