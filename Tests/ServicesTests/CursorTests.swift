import Services
import Testing

/// What clients send back to us is read into types with which one can reckon.
struct CursorTests {
    @Test func anOffsetLeavesRoomForAPage() {
        #expect(ListOffset("0") == .start && ListOffset("100")?.value == 100)
        for text in ["", "-1", "+1", "1.5", "x", "9223372036854775807", "1000000000000"] {
            #expect(ListOffset(text) == nil, "\(text)")
        }
        #expect(ListOffset(value: .max).value + 1000 > 0 && ListOffset(value: .min) == .start)
    }
}
