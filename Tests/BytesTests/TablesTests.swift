import Bytes
import Testing

struct ByteTableTests {
    @Test(arguments: [1, 2, 3] as [UInt64])
    func behavesLikeADictionary(_ seed: UInt64) {
        var random = SplitMix(state: seed)
        var table = ByteTable<Int>(seed: seed)
        var model: [[UInt8]: Int] = [:]
        var order: [[UInt8]] = []
        for step in 0..<3000 {
            let key = Array(String(Int.random(in: 0..<1000, using: &random)).utf8)
            table[key, default: 0] += step
            if model[key] == nil { order.append(key) }
            model[key, default: 0] += step
        }
        #expect(table.count == model.count)
        for (key, value) in model { #expect(key.withByteView { table[$0] } == value, "seed \(seed)") }
        #expect(Array(table.values) == order.map { model[$0]! }, "values come in order of insertion")
        #expect(table[ByteView("none")] == nil)
    }

    @Test func theEmptyKeyIsAKey() {
        var table = ByteTable<String>()
        #expect(table[.empty] == nil)
        table[[], default: ""] = "nothing"
        #expect(table[.empty] == "nothing")
        #expect(table[[0], default: "fallback"] == "fallback")
        #expect(table.count == 1, "reading a fallback stores nothing")
    }

    @Test func aCopyIsOfItsOwn() {
        var table = ByteTable<Int>()
        table[[1], default: 0] = 1
        let copy = table
        table[[1], default: 0] = 2
        #expect([1].withByteView { copy[$0] } == 1)
    }
}

struct ByteArenaTests {
    @Test func copiesHoldUntilReset() {
        let arena = ByteArena(chunkSize: 64)
        var copies: [(ByteView, [UInt8])] = []
        for length in [0, 1, 63, 64, 65, 10, 500, 3, 0, 64] {
            let bytes = (0..<length).map { UInt8(truncatingIfNeeded: $0 &+ length) }
            copies.append((bytes.withByteView { arena.copy($0) }, bytes))
        }
        for (view, bytes) in copies { #expect(view.array == bytes) }
        arena.reset()
        let again = arena.copy(ByteView("again"))
        #expect(again == "again" as StaticString)
    }

    @Test func piecesDoNotOverlap() {
        let arena = ByteArena(chunkSize: 16)
        for _ in 0..<3 {
            let pieces = (1...40).map { size in (arena.allocate(size), size) }
            for (i, piece) in pieces.enumerated() {
                piece.0.update(repeating: UInt8(i), count: piece.1)
            }
            for (i, piece) in pieces.enumerated() {
                #expect((0..<piece.1).allSatisfy { piece.0[$0] == UInt8(i) })
            }
            arena.reset()
        }
    }
}
