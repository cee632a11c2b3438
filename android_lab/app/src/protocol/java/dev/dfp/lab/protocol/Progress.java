package dev.dfp.lab.protocol;

/** Told while something is measured. */
public interface Progress {
    /** What is being done, how many parts are done, and how many there are. */
    void tell(String stage, int done, int total);

    Progress SILENT = (stage, done, total) -> {};
}
