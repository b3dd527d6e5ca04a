import Bytes
import Glibc

/// An IPv4 or IPv6 address. An IPv4-mapped IPv6 address is the IPv4 one.
public struct IPAddress: Sendable, Hashable {
    /// The 128 bits; an IPv4 address has its 32 at the low end of `low` and `isV4` set.
    public let high: UInt64
    public let low: UInt64
    public let isV4: Bool

    /// Parses a numeric address; nil for anything else, zone identifiers and leading zeros included.
    public init?(_ text: ByteView) {
        // inet_pton would stop at a NUL and take what stands before it.
        guard text.count > 0, text.count < Int(INET6_ADDRSTRLEN), text.firstIndex(of: 0) == nil else { return nil }
        var storage = in6_addr()
        let family = text.firstIndex(of: UInt8(ascii: ":")) == nil ? AF_INET : AF_INET6
        let parsed = withUnsafeTemporaryAllocation(of: CChar.self, capacity: text.count + 1) { copy in
            memcpy(copy.baseAddress!, text.base, text.count)
            copy[text.count] = 0
            return inet_pton(family, copy.baseAddress!, &storage)
        }
        guard parsed == 1 else { return nil }
        self = withUnsafeBytes(of: &storage) { bytes in
            if family == AF_INET {
                return IPAddress(v4: UInt32(bigEndian: bytes.loadUnaligned(as: UInt32.self)))
            }
            return IPAddress(
                high: UInt64(bigEndian: bytes.loadUnaligned(as: UInt64.self)),
                low: UInt64(bigEndian: bytes.loadUnaligned(fromByteOffset: 8, as: UInt64.self)))
        }
    }

    public init?(_ text: String) {
        guard let address = text.withByteView({ IPAddress($0) }) else { return nil }
        self = address
    }

    init(v4: UInt32) {
        high = 0
        low = UInt64(v4)
        isV4 = true
    }

    init(high: UInt64, low: UInt64) {
        if high == 0, low >> 32 == 0xFFFF {
            self.init(v4: UInt32(truncatingIfNeeded: low))
        } else {
            self.init(high: high, low: low, isV4: false)
        }
    }

    /// 0.0.0.0, which is nobody's.
    public static let unspecified = IPAddress(v4: 0)

    public var isLoopback: Bool {
        isV4 ? low >> 24 == 127 : high == 0 && low == 1
    }

    /// The address with all bits after the first `bits` cleared.
    public func prefix(_ bits: Int) -> IPAddress {
        if isV4 {
            let mask: UInt64 = bits <= 0 ? 0 : (0xFFFF_FFFF << UInt64(32 - min(bits, 32))) & 0xFFFF_FFFF
            return IPAddress(v4: UInt32(truncatingIfNeeded: low & mask))
        }
        let highMask: UInt64 = bits <= 0 ? 0 : (bits >= 64 ? .max : ~(.max >> UInt64(bits)))
        let lowMask: UInt64 = bits <= 64 ? 0 : (bits >= 128 ? .max : ~(.max >> UInt64(bits - 64)))
        return IPAddress(high: high & highMask, low: low & lowMask, isV4: false)
    }

    private init(high: UInt64, low: UInt64, isV4: Bool) {
        self.high = high
        self.low = low
        self.isV4 = isV4
    }

    /// The client that the address stands for, as it is written in keys: an IPv4 address whole, an IPv6 one by its
    /// first `v6Bits` (a subscriber gets at least a /64, so a single address means nothing).
    public func clientText(v6Bits: Int = 64) -> String {
        isV4 || v6Bits >= 128 ? description : "\(prefix(v6Bits))/\(v6Bits)"
    }
}

extension IPAddress: CustomStringConvertible {
    public var description: String {
        var storage = in6_addr()
        withUnsafeMutableBytes(of: &storage) { bytes in
            if isV4 {
                bytes.storeBytes(of: UInt32(truncatingIfNeeded: low).bigEndian, as: UInt32.self)
            } else {
                bytes.storeBytes(of: high.bigEndian, as: UInt64.self)
                bytes.storeBytes(of: low.bigEndian, toByteOffset: 8, as: UInt64.self)
            }
        }
        return withUnsafeTemporaryAllocation(of: CChar.self, capacity: Int(INET6_ADDRSTRLEN)) { text in
            inet_ntop(isV4 ? AF_INET : AF_INET6, &storage, text.baseAddress!, socklen_t(text.count))
            return String(cString: text.baseAddress!)
        }
    }
}

/// A block of addresses, `192.0.2.0/24` or a single address.
public struct AddressBlock: Sendable, Hashable {
    public let base: IPAddress
    public let bits: Int

    /// nil for malformed text and for a base with bits set beyond the prefix.
    public init?(_ text: String) {
        let parts = text.split(separator: "/", maxSplits: 1, omittingEmptySubsequences: false)
        guard let base = IPAddress(String(parts[0])) else { return nil }
        let width = base.isV4 ? 32 : 128
        if parts.count == 2 {
            guard let bits = Int(parts[1]), parts[1].allSatisfy(\.isNumber), (0...width).contains(bits) else {
                return nil
            }
            self.bits = bits
        } else {
            bits = width
        }
        guard base.prefix(bits) == base else { return nil }
        self.base = base
    }

    public func contains(_ address: IPAddress) -> Bool {
        address.isV4 == base.isV4 && address.prefix(bits) == base
    }
}
