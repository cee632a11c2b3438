package dev.dfp.lab.protocol;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import java.io.IOException;
import java.util.Arrays;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.Map;
import org.junit.jupiter.api.Test;

class JsonTest {
    @Test
    void whatIsWrittenReadsBack() throws IOException {
        Map<String, Object> value = new LinkedHashMap<>();
        value.put("text", "a \"quoted\" \\ line\n\tµs");
        value.put("number", -1.5e-7);
        value.put("list", Arrays.asList(1.0, null, true, Collections.emptyMap(), Collections.emptyList()));
        value.put("nothing", null);
        assertEquals(value, Json.object(Json.write(value)));
    }

    @Test
    void anUnknownFigureIsNull() {
        assertEquals("[null,null,3,2.5]", Json.write(Arrays.asList(Double.NaN, Float.POSITIVE_INFINITY, 3, 2.5f)));
    }

    @Test
    void whatIsNoJsonSaysWhere() {
        for (String broken : Arrays.asList("", "[1]", "{\"a\":}", "{\"a\" 1}", "{\"a\":1,}", "{\"a\":\"", "{\"a\":\"\\x\"}",
                "{\"a\":\"\\uzz00\"}", "{\"a\":[1 2]}", "{\"a\":1} more")) {
            IOException wrong = assertThrows(IOException.class, () -> Json.object(broken), broken);
            assertEquals("not JSON at character", wrong.getMessage().substring(0, 21), broken);
        }
    }

    @Test
    void aCardWithoutAThresholdIsRefused() throws IOException {
        Card card = Card.parse(ProtocolTest.CARD);
        assertEquals(Arrays.asList("sys_a", "perm_b"), card.features);
        assertEquals(0.5f, card.threshold);
        assertThrows(IOException.class, () -> Card.parse(ProtocolTest.CARD.replace("0.5", "\"half\"")));
        assertThrows(IOException.class, () -> Card.parse(ProtocolTest.CARD.replace("\"model\":\"ae\",", "")));
        assertThrows(IOException.class, () -> Card.parse("{\"name\":\"ae\"}"));
    }
}
