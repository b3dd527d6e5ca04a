import Bytes
import Testing

@testable import Services

struct TrustedProxiesTests {
    private let proxies = TrustedProxies(blocks: [AddressBlock("10.0.0.0/8")!], isLoopbackOnly: false)

    @Test func whoIsTrusted() {
        #expect(proxies.trusts(.ip(IPAddress("10.1.2.3")!)))
        #expect(proxies.trusts(.ip(IPAddress("::ffff:10.1.2.3")!)))
        #expect(!proxies.trusts(.ip(IPAddress("11.1.2.3")!)))
        #expect(!proxies.trusts(.ip(IPAddress("127.0.0.1")!)))
        #expect(!proxies.trusts(.unix))
        let local = TrustedProxies(blocks: [], isLoopbackOnly: true)
        #expect(local.trusts(.unix))
        #expect(local.trusts(.ip(IPAddress("127.9.9.9")!)))
        #expect(local.trusts(.ip(IPAddress("::1")!)))
        #expect(!local.trusts(.ip(IPAddress("10.1.2.3")!)))
    }

    @Test func anUntrustedPeerSpeaksForItselfOnly() {
        #expect(client("203.0.113.9", xff: ["192.0.2.1"], forwarded: ["for=192.0.2.1"]) == "203.0.113.9")
        #expect(client(nil, xff: ["192.0.2.1"]) == nil)
    }

    /// The client is the rightmost address that no trusted proxy has; what stands left of it, anybody may have written.
    @Test(
        arguments: [
            (["192.0.2.1"], "192.0.2.1"),
            (["1.1.1.1, 192.0.2.1"], "192.0.2.1"),
            (["1.1.1.1", "192.0.2.1, 10.0.0.7"], "192.0.2.1"),
            (["192.0.2.1,10.0.0.7 , 10.0.0.8"], "192.0.2.1"),
            (["192.0.2.1", "10.0.0.7", "10.0.0.8"], "192.0.2.1"),
            (["10.0.0.7, 10.0.0.8"], "10.0.0.7"),
            (["192.0.2.1:4711"], "192.0.2.1"),
            (["[2001:db8::1]:4711"], "2001:db8::1"),
            (["2001:db8::1"], "2001:db8::1"),
            (["::ffff:192.0.2.1"], "192.0.2.1"),
            // An entry that is no address ends the walk at what is known by then.
            (["1.1.1.1, unknown, 10.0.0.7"], "10.0.0.7"),
            (["1.1.1.1, "], "10.9.9.9"),
            (["garbage"], "10.9.9.9"),
            ([""], "10.9.9.9"),
            ([], "10.9.9.9"),
        ] as [([String], String)])
    func forwardedForIsReadFromTheRight(_ values: [String], _ expected: String) {
        #expect(client("10.9.9.9", xff: values) == expected)
    }

    @Test(
        arguments: [
            (["for=192.0.2.1"], "192.0.2.1"),
            (["For=192.0.2.1;proto=https;by=10.0.0.1"], "192.0.2.1"),
            (["proto=https; for=\"[2001:db8::1]:4711\""], "2001:db8::1"),
            (["for=\"192.0.2.1:80\""], "192.0.2.1"),
            (["for=1.1.1.1, for=192.0.2.1, for=10.0.0.7"], "192.0.2.1"),
            (["for=1.1.1.1, for=_hidden"], "10.9.9.9"),
            (["for=unknown"], "10.9.9.9"),
            (["proto=https"], "10.9.9.9"),
            // A quote that does not close is no value.
            (["for=\"192.0.2.10"], "10.9.9.9"),
            // Commas, semicolons and quotes within quotes are text.
            ([#"for=192.0.2.1;by="a,for=1.1.1.1;b""#], "192.0.2.1"),
            ([#"by="\"for=1.1.1.1,\"";FOR="192.0.2.1""#], "192.0.2.1"),
            ([#"for=1.1.1.1;host="x, for=2.2.2.2", for="[2001:db8::1]""#], "2001:db8::1"),
            ([#"for="19\2.0.2\.1""#], "192.0.2.1"),
            // Ports, and names that hide what they stand for.
            ([#"for="192.0.2.1:_p.1""#], "192.0.2.1"), ([#"for="[2001:db8::1]:_p""#], "2001:db8::1"),
            ([#"for="192.0.2.1:123456""#], "10.9.9.9"), ([#"for="192.0.2.1:""#], "10.9.9.9"),
            ([#"for="[2001:db8::1]x""#], "10.9.9.9"), ([#"for="2001:db8::1""#], "10.9.9.9"),
            ([#"for="[192.0.2.1]""#], "10.9.9.9"), ([#"for="_a", for=10.0.0.7"#], "10.0.0.7"),
            // A colon is no part of a token.
            (["for=192.0.2.1:80"], "10.9.9.9"),
            // Twice in one element it says nothing; an empty element is none.
            (["for=1.1.1.1;for=192.0.2.1"], "10.9.9.9"), (["for=192.0.2.1, ,"], "192.0.2.1"),
            // What a client leaves open does not swallow what the proxy adds.
            ([#"for="1.1.1.1, for=192.0.2.1"#], "192.0.2.1"),
            ([#"for=1.1.1.1;by=", for="[2001:db8::1]:80""#], "2001:db8::1"),
            ([#"for=1.1.1.1;by="\, for=192.0.2.1;proto=https"#], "192.0.2.1"),
            ([#"for="1.1.1.1"#, "for=10.0.0.7"], "10.0.0.7"),
        ] as [([String], String)])
    func forwardedIsReadToo(_ values: [String], _ expected: String) {
        #expect(client("10.9.9.9", forwarded: values) == expected)
    }

    @Test func forwardedForComesFirst() {
        #expect(client("10.9.9.9", xff: ["192.0.2.1"], forwarded: ["for=192.0.2.2"]) == "192.0.2.1")
        // The proxy wrote the one, whatever it says; the other may be the client's own.
        for unreadable in [[""], ["unknown"], ["_hidden"], ["1.1.1.1, unknown"], ["", ""]] {
            #expect(client("10.9.9.9", xff: unreadable, forwarded: ["for=192.0.2.2"]) == "10.9.9.9", "\(unreadable)")
        }
    }

    private func client(_ peer: String?, xff: [String] = [], forwarded: [String] = []) -> String? {
        let peer = peer.map { PeerAddress.ip(IPAddress($0)!) } ?? .unix
        let arena = ByteArena()
        let copies = [xff, forwarded].map { $0.map { text in text.withByteView { arena.copy($0) } } }
        return withExtendedLifetime(arena) {
            proxies.clientAddress(peer: peer) { name, each in
                for value in copies[ByteView(name) == "forwarded" ? 1 : 0] { each(value) }
            }?.description
        }
    }
}
