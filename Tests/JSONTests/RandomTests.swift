import Bytes
import JSON
import Testing

/// Seeded random values and damage. A failure prints the seed that repeats it.
@Suite struct RandomTests {
    struct Random: RandomNumberGenerator {
        var state: UInt64

        mutating func next() -> UInt64 {
            state &+= 0x9E37_79B9_7F4A_7C15
            var mixed = state
            mixed = (mixed ^ mixed >> 30) &* 0xBF58_476D_1CE4_E5B9
            mixed = (mixed ^ mixed >> 27) &* 0x94D0_49BB_1331_11EB
            return mixed ^ mixed >> 31
        }

        mutating func value(depth: Int) -> JSONValue {
            switch Int.random(in: 0..<(depth > 0 ? 8 : 6), using: &self) {
            case 0: return .null
            case 1: return .bool(Bool.random(using: &self))
            case 2: return .int(Int.random(in: -JSONReader.maxInteger...JSONReader.maxInteger, using: &self))
            case 3: return .double(Double.random(in: -1e9...1e9, using: &self))
            case 4, 5: return .string(text())
            case 6: return .array((0..<Int.random(in: 0..<5, using: &self)).map { _ in value(depth: depth - 1) })
            default:
                let count = Int.random(in: 0..<5, using: &self)
                return .object((0..<count).map { .init(key: "\($0)" + text(), value: value(depth: depth - 1)) })
            }
        }

        mutating func text() -> String {
            let scalars: [Unicode.Scalar] = [
                "a", "z", "\"", "\\", "\n", "\u{0}", "\u{1F}", " ", "é", "日", "😀", "\u{2028}",
            ]
            var text = String.UnicodeScalarView()
            for _ in 0..<Int.random(in: 0..<20, using: &self) { text.append(scalars.randomElement(using: &self)!) }
            return String(text)
        }
    }

    @Test(arguments: 1...20 as ClosedRange<UInt64>)
    func valuesSurviveWritingAndReading(seed: UInt64) throws {
        var random = Random(state: seed)
        for _ in 0..<50 {
            let value = random.value(depth: 4)
            for pretty in [false, true] {
                let text = value.text(pretty: pretty)
                let back = try text.withByteView { try JSONValue(parsing: $0) }
                #expect(back == value, "seed \(seed): \(text)")
            }
        }
    }

    @Test(arguments: 1...20 as ClosedRange<UInt64>)
    func damageIsRefusedOrReadButNeverWorse(seed: UInt64) {
        var random = Random(state: seed)
        for _ in 0..<100 {
            var bytes = Array(random.value(depth: 4).text().utf8)
            for _ in 0..<Int.random(in: 1...4, using: &random) where !bytes.isEmpty {
                let at = Int.random(in: 0..<bytes.count, using: &random)
                switch Int.random(in: 0..<3, using: &random) {
                case 0: bytes[at] = UInt8.random(in: 0...255, using: &random)
                case 1: bytes.remove(at: at)
                default: bytes.insert(Array("{}[],:\"\\0e-".utf8).randomElement(using: &random)!, at: at)
                }
            }
            // An exact allocation, so that a sanitizer sees a read past the end.
            let exact = UnsafeMutablePointer<UInt8>.allocate(capacity: max(bytes.count, 1))
            defer { exact.deallocate() }
            exact.initialize(from: bytes, count: bytes.count)
            let view = ByteView(base: exact, count: bytes.count)
            let tree = try? JSONValue(parsing: view)
            var reader = JSONReader(view)
            let skipped: Void? = try? {
                try reader.skip(); try reader.end()
            }()
            #expect(reader.offset <= bytes.count, "seed \(seed)")
            // Whatever the tree takes, skipping takes (it minds neither duplicate keys nor the size of numbers).
            if tree != nil { #expect(skipped != nil, "seed \(seed): \(view.string)") }
            if let tree {
                #expect(String(decoding: bytes, as: UTF8.self).utf8.elementsEqual(bytes), "seed \(seed): \(tree)")
            }
        }
    }
}
