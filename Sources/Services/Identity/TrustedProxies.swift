import Bytes
import HTTP

/// Which peers may speak for others, and whose request it is when they do.
public struct TrustedProxies: Sendable {
    private let blocks: [AddressBlock]
    private let configured: [AddressBlock]
    private let trustsUnixPeers: Bool

    /// - Parameters:
    ///   - blocks: the configured proxies.
    ///   - isLoopbackOnly: the server listens on loopback only, so loopback and unix peers are our own machine.
    public init(blocks: [AddressBlock], isLoopbackOnly: Bool) {
        let loopback = ["127.0.0.0/8", "::1"].compactMap { AddressBlock($0) }
        configured = blocks
        self.blocks = isLoopbackOnly ? blocks + loopback : blocks
        trustsUnixPeers = isLoopbackOnly
    }

    public func trusts(_ address: IPAddress) -> Bool {
        blocks.contains { $0.contains(address) }
    }

    /// Whether the peer is a proxy that was named, or whoever may open our unix socket; loopback as such is not enough.
    func isConfigured(_ peer: PeerAddress) -> Bool {
        switch peer {
        case .unix: true
        case .ip(let address): configured.contains { $0.contains(address) }
        }
    }

    /// Whether the peer of `exchange` may speak for others.
    public func trusts(_ peer: PeerAddress) -> Bool {
        switch peer {
        case .unix: trustsUnixPeers
        case .ip(let address): trusts(address)
        }
    }

    /// The address of the client: the peer's, or, when the peer is trusted, the rightmost untrusted address of
    /// `X-Forwarded-For`, else of `Forwarded` (RFC 7239). nil when only a unix socket is known.
    ///
    /// A proxy that writes the one passes on the other as the client sent it: with any `X-Forwarded-For`, readable or not,
    /// `Forwarded` says nothing.
    public func clientAddress(_ exchange: Exchange, peer: PeerAddress) -> IPAddress? {
        clientAddress(peer: peer) { exchange.headers($0, $1) }
    }

    /// - Parameter headers: calls back with each value of a header, in order.
    func clientAddress(peer: PeerAddress, headers: (StaticString, (ByteView) -> Void) -> Void) -> IPAddress? {
        let peerAddress: IPAddress? = if case .ip(let address) = peer { address } else { nil }
        guard trusts(peer) else { return peerAddress }
        let said = forwardedFor(headers) ?? forwarded(headers)
        return (said ?? nil) ?? peerAddress
    }

    /// - Returns: `.none` when there is no such field, `.some(nil)` when no address can be read from its right end.
    private func forwardedFor(_ headers: (StaticString, (ByteView) -> Void) -> Void) -> IPAddress?? {
        var fieldCount = 0
        var only = ByteView.empty
        headers("x-forwarded-for") { value in
            fieldCount += 1
            only = value
        }
        if fieldCount == 0 { return .none }
        // One proxy and one address is what nearly every request has.
        if fieldCount == 1, only.firstIndex(of: UInt8(ascii: ",")) == nil { return .some(IPAddress(withoutPort(only))) }
        var entries: [ByteView] = []
        headers("x-forwarded-for") { value in
            var start = 0
            while start <= value.count {
                let end = value.firstIndex(of: UInt8(ascii: ","), from: start) ?? value.count
                entries.append(value.slice(start, end).trimmed)
                start = end + 1
            }
        }
        return .some(rightmost(entries.lazy.map { IPAddress(withoutPort($0)) }))
    }

    /// The same for `Forwarded`.
    private func forwarded(_ headers: (StaticString, (ByteView) -> Void) -> Void) -> IPAddress?? {
        var entries: [IPAddress?] = []
        var hasField = false
        headers("forwarded") { value in
            hasField = true
            entries += ForwardedField.addresses(value)
        }
        return hasField ? .some(rightmost(entries)) : .none
    }

    /// Walks a list from its right end; stops at the first untrusted address. An entry that is no address ends the walk at
    /// the last trusted one: whoever wrote it could write anything left of it.
    private func rightmost(_ entries: some BidirectionalCollection<IPAddress?>) -> IPAddress? {
        var last: IPAddress?
        for entry in entries.reversed() {
            guard let address = entry else { return last }
            last = address
            if !trusts(address) { return address }
        }
        return last
    }

    /// `192.0.2.1:4711` and `[2001:db8::1]:4711` without port and brackets.
    private func withoutPort(_ text: ByteView) -> ByteView {
        if text.count > 2, text[0] == UInt8(ascii: "["), let close = text.firstIndex(of: UInt8(ascii: "]")) {
            return text.slice(1, close)
        }
        guard let colon = text.firstIndex(of: UInt8(ascii: ":")) else { return text }
        return text.firstIndex(of: UInt8(ascii: ":"), from: colon + 1) == nil ? text.slice(0, colon) : text
    }
}

/// The other end of a connection.
public enum PeerAddress: Sendable, Equatable {
    case unix
    case ip(IPAddress)
}

extension PeerAddress {
    public init(_ peer: Peer) {
        switch peer {
        case .unix: self = .unix
        case .address(let text): self = IPAddress(text).map { .ip($0) } ?? .ip(.unspecified)
        }
    }
}
