package dev.dfp.lab.protocol;

import java.io.IOException;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/** JSON without Android: objects are maps in order, arrays are lists, numbers are doubles, and null is null. */
public final class Json {
    private final String text;
    private int at;

    private Json(String text) {
        this.text = text;
    }

    /** One line of JSON. NaN and infinity, which JSON lacks, are null: an unknown figure. */
    public static String write(Object value) {
        StringBuilder out = new StringBuilder();
        write(value, out);
        return out.toString();
    }

    private static void write(Object value, StringBuilder out) {
        if (value == null) {
            out.append("null");
        } else if (value instanceof Map) {
            String before = "{";
            for (Map.Entry<?, ?> entry : ((Map<?, ?>) value).entrySet()) {
                out.append(before);
                quote(String.valueOf(entry.getKey()), out);
                out.append(':');
                write(entry.getValue(), out);
                before = ",";
            }
            out.append(before.equals("{") ? "{}" : "}");
        } else if (value instanceof List) {
            String before = "[";
            for (Object item : (List<?>) value) {
                out.append(before);
                write(item, out);
                before = ",";
            }
            out.append(before.equals("[") ? "[]" : "]");
        } else if (value instanceof Double || value instanceof Float) {
            double number = ((Number) value).doubleValue();
            out.append(Double.isNaN(number) || Double.isInfinite(number) ? "null" : value.toString());
        } else if (value instanceof Number || value instanceof Boolean) {
            out.append(value);
        } else {
            quote(value.toString(), out);
        }
    }

    private static void quote(String value, StringBuilder out) {
        out.append('"');
        for (int i = 0; i < value.length(); i++) {
            char c = value.charAt(i);
            if (c == '"' || c == '\\') {
                out.append('\\').append(c);
            } else if (c < 0x20 || c == 0x7f) {
                out.append(String.format("\\u%04x", (int) c));
            } else {
                out.append(c);
            }
        }
        out.append('"');
    }

    /**
     * The object in these characters.
     *
     * @throws IOException they are no JSON object; the message says at which character
     */
    @SuppressWarnings("unchecked")
    public static Map<String, Object> object(String text) throws IOException {
        Json json = new Json(text);
        Object value = json.value();
        json.space();
        if (json.at != text.length() || !(value instanceof Map)) {
            throw json.wrong("one JSON object");
        }
        return (Map<String, Object>) value;
    }

    private Object value() throws IOException {
        space();
        char c = at < text.length() ? text.charAt(at) : 0;
        if (c == '{') {
            return members();
        }
        if (c == '[') {
            return items();
        }
        if (c == '"') {
            return string();
        }
        if (word("null")) {
            return null;
        }
        if (word("true")) {
            return true;
        }
        if (word("false")) {
            return false;
        }
        return number();
    }

    private Map<String, Object> members() throws IOException {
        Map<String, Object> found = new LinkedHashMap<>();
        at++;
        while (!ends('}', found.isEmpty())) {
            space();
            if (at >= text.length() || text.charAt(at) != '"') {
                throw wrong("a name");
            }
            String name = string();
            space();
            if (!word(":")) {
                throw wrong("a colon");
            }
            found.put(name, value());
        }
        return found;
    }

    private List<Object> items() throws IOException {
        List<Object> found = new ArrayList<>();
        at++;
        while (!ends(']', found.isEmpty())) {
            found.add(value());
        }
        return found;
    }

    /** Whether the object or array ends here; steps over the comma if it does not. */
    private boolean ends(char closing, boolean first) throws IOException {
        space();
        if (word(String.valueOf(closing))) {
            return true;
        }
        if (!first && !word(",")) {
            throw wrong("a comma or " + closing);
        }
        return false;
    }

    private String string() throws IOException {
        StringBuilder found = new StringBuilder();
        for (at++; at < text.length(); at++) {
            char c = text.charAt(at);
            if (c == '"') {
                at++;
                return found.toString();
            }
            found.append(c == '\\' ? escaped() : c);
        }
        throw wrong("the end of a string");
    }

    private char escaped() throws IOException {
        at++;
        char c = at < text.length() ? text.charAt(at) : 0;
        int known = "\"\\/bfnrt".indexOf(c);
        if (known >= 0) {
            return "\"\\/\b\f\n\r\t".charAt(known);
        }
        if (c == 'u' && at + 4 < text.length()) {
            try {
                char found = (char) Integer.parseInt(text.substring(at + 1, at + 5), 16);
                at += 4;
                return found;
            } catch (NumberFormatException error) {
                throw wrong("four hexadecimal digits");
            }
        }
        throw wrong("an escape");
    }

    private Double number() throws IOException {
        int begin = at;
        while (at < text.length() && "+-.0123456789eE".indexOf(text.charAt(at)) >= 0) {
            at++;
        }
        try {
            return Double.valueOf(text.substring(begin, at));
        } catch (NumberFormatException error) {
            throw wrong("a value");
        }
    }

    private boolean word(String word) {
        if (!text.startsWith(word, at)) {
            return false;
        }
        at += word.length();
        return true;
    }

    private void space() {
        while (at < text.length() && Character.isWhitespace(text.charAt(at))) {
            at++;
        }
    }

    private IOException wrong(String expected) {
        return new IOException("not JSON at character " + at + ": expected " + expected);
    }
}
