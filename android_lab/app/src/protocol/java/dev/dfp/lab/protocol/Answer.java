package dev.dfp.lab.protocol;

/** What a model says of one app. */
public final class Answer {
    /** Within 0 and 1; more is more suspicious. */
    public final float score;

    /** How far the app is from those of the training: mean squared error over standardised features. */
    public final float error;

    public Answer(float score, float error) {
        this.score = score;
        this.error = error;
    }
}
