import Bytes
import Testing

@testable import Services

struct TokenDigestTests {
    /// Every single bit counts, wherever it is.
    @Test func oneBitIsAnother() throws {
        let digest = try #require(TokenDigest(hex: String(repeating: "5a", count: 32)))
        #expect(digest.mask(equals: digest) == -1)
        for bit in 0..<256 {
            var bytes = [UInt8](repeating: 0x5A, count: 32)
            bytes[bit / 8] ^= 1 << UInt8(bit % 8)
            let buffer = ByteBuffer()
            bytes.withByteView { buffer.append(hex: $0) }
            let other = try #require(TokenDigest(hex: buffer.view.string))
            #expect(digest.mask(equals: other) == 0 && other.mask(equals: digest) == 0, "\(bit)")
        }
    }

    /// NIST's vector for "abc".
    @Test func isSHA256() throws {
        let known = try #require(
            TokenDigest(hex: "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"))
        #expect("abc".withByteView { TokenDigest(of: $0) }.mask(equals: known) == -1)
    }

    @Test func whoIsStillKnown() throws {
        func tokens(_ text: String) throws -> Tokens { try Tokens(file: text) }
        let one = String(repeating: "11", count: 32)
        let two = String(repeating: "22", count: 32)
        let caller = Caller(name: "a", role: .admin, token: TokenDigest(hex: one))
        #expect(try tokens("a admin \(one)").stillKnows(caller, for: .read))
        // Another name is the same token; another token of the name is not.
        #expect(try tokens("b read \(one)").stillKnows(caller, for: .read))
        #expect(try !tokens("b check \(one)").stillKnows(caller, for: .read))
        #expect(try !tokens("a admin \(two)").stillKnows(caller, for: .read))
        #expect(Tokens.none.stillKnows(.local, for: .admin))
        #expect(try !tokens("a admin \(one)").stillKnows(.local, for: .read))
    }
}

struct RefusedCallersTests {
    @Test func aHundredAtOnceThenTenASecond() throws {
        var callers = RefusedCallers()
        let address = IPAddress("192.0.2.1")
        for i in 0..<100 { #expect(callers.refused(address, nowUs: 1_000_000) == nil, "\(i)") }
        #expect(callers.refused(address, nowUs: 1_000_000) == 1)
        #expect(callers.refused(address, nowUs: 1_099_999) == 1)
        // Being told off costs nothing more, so the wait that was told is true.
        #expect(callers.refused(address, nowUs: 1_100_000) == nil)
        #expect(callers.refused(address, nowUs: 1_100_000) == 1)
        #expect(callers.refused(address, nowUs: 11_100_000) == nil)
    }

    @Test func addressesAreApartAndNetworksTogether() throws {
        var callers = RefusedCallers()
        for _ in 0..<101 { _ = callers.refused(IPAddress("2001:db8::1"), nowUs: 0) }
        #expect(callers.refused(IPAddress("2001:db8::ffff"), nowUs: 0) != nil)
        // Two networks may share a slot, not all of them.
        let others = (1...20).compactMap { callers.refused(IPAddress("2001:db8:\($0)::1"), nowUs: 0) }
        #expect(others.count < 3)
        // Whose address nobody knows is counted as one.
        for _ in 0..<101 { _ = callers.refused(nil, nowUs: 0) }
        #expect(callers.refused(nil, nowUs: 0) != nil)
    }
}
