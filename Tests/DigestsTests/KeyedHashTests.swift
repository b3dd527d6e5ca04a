import Bytes
import Digests
import Testing

struct KeyedHashTests {
    @Test func standsForTheText() {
        let keyed = KeyedHash()
        var seen: Set<KeyedHash.Value> = []
        for length in 0..<100 {
            let text = [UInt8](repeating: 7, count: length)
            let value = text.withByteView { keyed.hash($0) }
            #expect(value == text.withByteView { keyed.hash($0) })
            #expect(seen.insert(value).inserted)
        }
    }

    @Test func nobodyElseCanTellIt() {
        #expect(KeyedHash().hash(ByteView("a key")) != KeyedHash().hash(ByteView("a key")))
    }
}
