package dev.dfp.lab;

import android.app.Activity;
import android.content.res.ColorStateList;
import android.content.res.TypedArray;
import android.graphics.Typeface;
import android.view.View;
import android.view.ViewGroup;
import android.widget.Button;
import android.widget.LinearLayout;
import android.widget.ScrollView;
import android.widget.TextView;

/** A column of plain views. Colours are the theme's, so that it is readable by day and by night. */
final class Screen {
    private static final int MARGIN = 16; // dp, as Android's own lists have
    private static final int HEADING = 20; // sp
    private static final int TEXT = 16; // sp

    private final Activity activity;
    private final LinearLayout column;
    private final ColorStateList colour;
    private final int gap;

    Screen(Activity activity, int title) {
        this.activity = activity;
        activity.setTitle(title);
        column = new LinearLayout(activity);
        column.setOrientation(LinearLayout.VERTICAL);
        TypedArray theme = activity.obtainStyledAttributes(new int[] {android.R.attr.textColorPrimary});
        colour = theme.getColorStateList(0);
        theme.recycle();
        int margin = Math.round(MARGIN * activity.getResources().getDisplayMetrics().density);
        gap = margin / 2;
        column.setPadding(margin, margin, margin, margin);
        ScrollView scroll = new ScrollView(activity);
        scroll.setFitsSystemWindows(true);
        scroll.addView(column);
        activity.setContentView(scroll);
    }

    TextView heading(String text) {
        TextView view = text(text);
        view.setTextSize(HEADING);
        view.setTypeface(Typeface.DEFAULT_BOLD);
        view.setPadding(0, gap, 0, 0);
        return view;
    }

    /** A paragraph that can be selected and copied. */
    TextView text(String text) {
        TextView view = new TextView(activity);
        view.setText(text);
        view.setTextSize(TEXT);
        view.setTextColor(colour);
        view.setTextIsSelectable(true);
        return add(view);
    }

    Button button(int text, View.OnClickListener act) {
        Button button = new Button(activity);
        button.setText(text);
        button.setOnClickListener(act);
        return add(button);
    }

    <T extends View> T add(T view) {
        column.addView(view, new LinearLayout.LayoutParams(
                ViewGroup.LayoutParams.MATCH_PARENT, ViewGroup.LayoutParams.WRAP_CONTENT));
        return view;
    }
}
