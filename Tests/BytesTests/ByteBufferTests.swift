import Bytes
import Testing

struct ByteBufferTests {
    @Test func appendsEveryKind() {
        let buffer = ByteBuffer()
        #expect(buffer.isEmpty && buffer.view.isEmpty && buffer.allocatedBytes == 0)
        buffer.append(UInt8(ascii: "a"))
        buffer.append("bc")
        buffer.append(ByteView("de"))
        buffer.append([UInt8]("fg".utf8))
        buffer.append(String("hé"))
        buffer.append(decimal: -42)
        buffer.append(decimal: 7, width: 3)
        buffer.append(hex: ByteView("\u{0}\u{7f}A"))
        #expect(buffer.view.string == "abcdefghé-42007007f41")
    }

    @Test func consumedBytesAreGoneAndRoomIsUsedAgain() {
        let buffer = ByteBuffer(capacity: 256)
        let allocated = buffer.allocatedBytes
        for round in 0..<100 {
            buffer.append([UInt8](repeating: UInt8(round), count: 200))
            #expect(buffer.view[0] == UInt8(round))
            buffer.consume(200)
        }
        #expect(buffer.isEmpty)
        #expect(buffer.allocatedBytes == allocated)
    }

    @Test func whatWaitsMovesToTheFrontBeforeMemoryGrows() {
        let buffer = ByteBuffer(capacity: 256)
        buffer.append([UInt8](repeating: 1, count: 200))
        buffer.append([UInt8](repeating: 2, count: 50))
        buffer.consume(200)
        buffer.append([UInt8](repeating: 3, count: 100))
        #expect(buffer.allocatedBytes == 256)
        #expect(buffer.view.array == [UInt8](repeating: 2, count: 50) + [UInt8](repeating: 3, count: 100))
    }

    @Test func truncatesRemovesAndCopies() {
        let buffer = ByteBuffer()
        buffer.append("0123456789")
        buffer.consume(1)
        buffer.remove(2..<5)
        #expect(buffer.view == "126789" as StaticString)
        buffer.copy(from: 0, to: 1, count: 4)
        #expect(buffer.view == "112679" as StaticString)
        buffer.truncate(to: 2)
        #expect(buffer.view == "11" as StaticString)
        buffer.remove(0..<0)
        #expect(buffer.count == 2)
        buffer.removeAll()
        #expect(buffer.isEmpty && buffer.allocatedBytes > 0)
        buffer.append("x")
        buffer.release()
        #expect(buffer.isEmpty && buffer.allocatedBytes == 0)
        buffer.append("y")
        #expect(buffer.view == "y" as StaticString)
    }

    @Test func reservedRoomIsWrittenDirectly() {
        let buffer = ByteBuffer()
        let target = buffer.reserve(3)
        for i in 0..<3 { target[i] = UInt8(0x61 + i) }
        buffer.didAppend(3)
        #expect(buffer.view == "abc" as StaticString)
        #expect(buffer.room == buffer.allocatedBytes - 3)
    }

    /// The same random edits on a buffer and on an array.
    @Test(arguments: [1, 2, 3] as [UInt64])
    func behavesLikeAnArray(_ seed: UInt64) {
        var random = SplitMix(state: seed)
        let buffer = ByteBuffer()
        var model: [UInt8] = []
        for step in 0..<5000 {
            switch Int.random(in: 0..<5, using: &random) {
            case 0, 1:
                let bytes = (0..<Int.random(in: 0...300, using: &random)).map { _ in UInt8(truncatingIfNeeded: step) }
                buffer.append(bytes)
                model += bytes
            case 2:
                let count = Int.random(in: 0...model.count, using: &random)
                buffer.consume(count)
                model.removeFirst(count)
            case 3:
                let start = Int.random(in: 0...model.count, using: &random)
                let end = Int.random(in: start...model.count, using: &random)
                buffer.remove(start..<end)
                model.removeSubrange(start..<end)
            default:
                let count = Int.random(in: 0...model.count, using: &random)
                buffer.truncate(to: count)
                model.removeLast(model.count - count)
            }
            #expect(buffer.count == model.count)
            if buffer.view.array != model {
                Issue.record("differs after step \(step) of seed \(seed)")
                return
            }
        }
    }

    @Test(arguments: [
        0, 1, 9, 10, 99, 100, 12_345, -1, -10, Int.max, Int.min, 1_000_000_007, 999_999_999_999_999_999,
        1_000_000_000_000_000_000,
    ])
    func decimals(_ value: Int) {
        let buffer = ByteBuffer()
        buffer.append(decimal: value)
        #expect(buffer.view.string == String(value))
        withUnsafeTemporaryAllocation(of: UInt8.self, capacity: 20) { target in
            #expect(Decimal.write(value, to: target.baseAddress!) == String(value).utf8.count)
        }
    }

    @Test func decimalsOfAWidthKeepTheirLastDigits() {
        let buffer = ByteBuffer()
        buffer.append(decimal: 0, width: 2)
        buffer.append(decimal: 59, width: 2)
        buffer.append(decimal: 2026, width: 4)
        #expect(buffer.view == "00592026" as StaticString)
    }
}

/// SplitMix64 (Steele, Lea, Flood 2014), so that a failure's seed replays it.
struct SplitMix: RandomNumberGenerator {
    var state: UInt64

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var z = state
        z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
        return z ^ (z >> 31)
    }
}
