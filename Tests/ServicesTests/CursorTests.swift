import Services
import Testing

/// What clients send back to us is read into types with which one can reckon.
struct CursorTests {
    @Test func aPlaceInAStreamHasOneBehindIt() {
        for text in ["0-0", "1700000000000-0", "999999999999999999-999999999999999999"] {
            #expect(StreamID(text)?.description == text)
        }
        for text in [
            "", "-", "1", "1-", "-1-1", "+1-1", "1-+1", "1-2-x", "1-2-3", "x-1", "1 -1",
            "18446744073709551615-18446744073709551615", "9223372036854775808-0",
        ] {
            #expect(StreamID(text) == nil, "\(text)")
        }
        #expect(StreamID.ofEntry("0-0") == nil && StreamID.ofEntry("0-1") != nil)
        #expect(StreamID("9-1")! < StreamID("10-0")!)
    }

    @Test func anOffsetLeavesRoomForAPage() {
        #expect(ListOffset("0") == .start && ListOffset("100")?.value == 100)
        for text in ["", "-1", "+1", "1.5", "x", "9223372036854775807", "1000000000000"] {
            #expect(ListOffset(text) == nil, "\(text)")
        }
        #expect(ListOffset(value: .max).value + 1000 > 0 && ListOffset(value: .min) == .start)
    }
}
