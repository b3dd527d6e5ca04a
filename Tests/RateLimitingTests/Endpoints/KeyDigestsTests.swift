import Bytes
import TestSupport
import Testing

@testable import RateLimiting

struct KeyDigestsTests {
    /// Whether remembered, forgotten or new: the form is the one that rules and Redis keys have.
    @Test func everyKeyHasItsOwnForm() {
        var random = SeededRandom()
        var digests = KeyDigests(capacity: 8)
        let buffer = ByteBuffer()
        func both(_ key: String) -> (String, String) {
            buffer.removeAll()
            buffer.append(Identity.hashedKeyStart)
            key.withByteView { digests.appendHex($0, to: buffer) }
            let held = buffer.view.string
            buffer.removeAll()
            key.withByteView { Identity.appendHashedKey($0, to: buffer) }
            return (held, buffer.view.string)
        }
        for _ in 0..<2000 {
            let (held, hashed) = both("key-\(random.int(0...20))")
            #expect(held == hashed, "QM_SEED=\(random.seed)")
        }
        #expect(both("").0 == both("").1)
    }
}
