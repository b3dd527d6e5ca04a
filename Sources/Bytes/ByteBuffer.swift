import Glibc

/// A growable run of bytes that its owner appends to and reads from the front.
///
/// It is confined to one thread, like everything on a loop. Memory grows by doubling; `release` gives it back, so that
/// an idle connection costs none.
public final class ByteBuffer {
    // Unchecked exclusivity: no access to these outlives the one expression it stands in, and checking each at run time
    // was a third of what it costs to encode a command.
    @exclusivity(unchecked) @usableFromInline var base: UnsafeMutablePointer<UInt8>?
    @exclusivity(unchecked) @usableFromInline var start = 0
    @exclusivity(unchecked) @usableFromInline var end = 0
    @exclusivity(unchecked) @usableFromInline var capacity = 0

    @inlinable
    public init() {}

    public init(capacity: Int) {
        grow(toHold: capacity)
    }

    deinit { base?.deallocate() }

    /// How many bytes wait to be read.
    @inlinable public var count: Int { end - start }
    @inlinable public var isEmpty: Bool { end == start }

    /// The waiting bytes; the view holds until the buffer is next changed.
    @inlinable
    public var view: ByteView {
        guard let base else { return .empty }
        return ByteView(base: base + start, count: end - start)
    }

    /// Takes `n` bytes off the front.
    @inlinable
    public func consume(_ n: Int) {
        assert(n >= 0 && n <= count)
        start += n
        if start == end {
            start = 0
            end = 0
        }
    }

    /// Forgets the contents and keeps the memory.
    @inlinable
    public func removeAll() {
        start = 0
        end = 0
    }

    /// Forgets everything after the first `n` bytes.
    @inlinable
    public func truncate(to n: Int) {
        assert(n >= 0 && n <= count)
        end = start + n
    }

    /// Takes out the bytes at `range`, counted from the front; what follows moves up.
    public func remove(_ range: Range<Int>) {
        assert(range.lowerBound >= 0 && range.upperBound <= count)
        guard let base, !range.isEmpty else { return }
        let held = base + start
        memmove(held + range.lowerBound, held + range.upperBound, count - range.upperBound)
        end -= range.count
    }

    /// Copies `count` bytes at `source` to `target`, both counted from the front; they may overlap.
    public func copy(from source: Int, to target: Int, count: Int) {
        assert(source >= 0 && target >= 0 && max(source, target) + count <= self.count)
        guard let base, source != target else { return }
        memmove(base + start + target, base + start + source, count)
    }

    /// How much memory is held.
    @inlinable public var allocatedBytes: Int { capacity }

    /// Forgets the contents and gives the memory back.
    public func release() {
        base?.deallocate()
        base = nil
        start = 0
        end = 0
        capacity = 0
    }

    /// Makes room for `n` more bytes and returns where they go; `didAppend` says how many were written.
    @inlinable
    public func reserve(_ n: Int) -> UnsafeMutablePointer<UInt8> {
        // A buffer without memory has no address, not even one for nothing to be written at.
        if end + n > capacity || base == nil { grow(toHold: n) }
        return base.unsafelyUnwrapped + end
    }

    @inlinable public func didAppend(_ n: Int) { end += n }

    /// How many bytes can be appended without growing or moving.
    @inlinable public var room: Int { capacity - end }

    /// Moves what waits to the front of the memory, or into a larger piece.
    @usableFromInline
    @inline(never)
    func grow(toHold extra: Int) {
        let held = end - start
        if let base, start > 0, held + extra <= capacity {
            memmove(base, base + start, held)
        } else {
            var larger = max(capacity * 2, 256)
            // What is large is most often asked for as a whole, and twice that would be much.
            if held + extra > ByteBuffer.largeBytes {
                larger = max(capacity + capacity / 2, held + extra)
            } else {
                while larger < held + extra { larger *= 2 }
            }
            move(to: larger)
        }
        start = 0
        end = held
    }

    private static let largeBytes = 1 << 20

    private func move(to larger: Int) {
        let fresh = UnsafeMutablePointer<UInt8>.allocate(capacity: larger)
        if let base {
            memcpy(fresh, base + start, end - start)
            base.deallocate()
        }
        base = fresh
        capacity = larger
    }

    /// Makes room for `n` more bytes that are known to come, and not for more.
    public func reserveExactly(_ n: Int) {
        let held = count
        guard end + n > capacity else { return }
        if let base, held + n <= capacity { memmove(base, base + start, held) } else { move(to: held + n) }
        start = 0
        end = held
    }

    @inlinable
    public func append(_ byte: UInt8) {
        reserve(1).pointee = byte
        end += 1
    }

    @inlinable
    public func append(_ text: StaticString) {
        let n = text.utf8CodeUnitCount
        memcpy(reserve(n), text.utf8Start, n)
        end += n
    }

    @inlinable
    public func append(_ bytes: ByteView) {
        memcpy(reserve(bytes.count), bytes.base, bytes.count)
        end += bytes.count
    }

    @inlinable
    public func append(_ bytes: [UInt8]) {
        bytes.withUnsafeBufferPointer { append(ByteView($0)) }
    }

    @inlinable
    public func append(_ text: String) {
        text.withByteView { append($0) }
    }

    /// Appends a decimal integer.
    @inlinable
    public func append(decimal value: Int) {
        let at = reserve(20)
        end += Decimal.write(value, to: at)
    }

    /// Appends a decimal integer with leading zeros up to `width` digits; `value` is not negative.
    @inlinable
    public func append(decimal value: Int, width: Int) {
        let at = reserve(width)
        var rest = value
        for i in stride(from: width - 1, through: 0, by: -1) {
            at[i] = UInt8(truncatingIfNeeded: 0x30 + rest % 10)
            rest /= 10
        }
        end += width
    }

    @inlinable
    public func append(hex bytes: ByteView) {
        let at = reserve(bytes.count * 2)
        let digits: StaticString = "0123456789abcdef"
        for i in 0..<bytes.count {
            at[2 * i] = digits.utf8Start[Int(bytes.base[i] >> 4)]
            at[2 * i + 1] = digits.utf8Start[Int(bytes.base[i] & 15)]
        }
        end += bytes.count * 2
    }
}

/// Decimal integers as ASCII digits.
public enum Decimal {
    /// Writes `value` at `target`, which has room for 20 bytes, and returns how many it took.
    @inlinable
    public static func write(_ value: Int, to target: UnsafeMutablePointer<UInt8>) -> Int {
        var rest = value.magnitude
        var length = 1
        if value < 0 {
            target[0] = 0x2D
            length = 2
        }
        var bound: UInt = 10
        while rest >= bound {
            length += 1
            let (next, overflow) = bound.multipliedReportingOverflow(by: 10)
            if overflow { break }
            bound = next
        }
        var at = length
        repeat {
            at -= 1
            let (quotient, digit) = rest.quotientAndRemainder(dividingBy: 10)
            target[at] = UInt8(truncatingIfNeeded: 0x30 + digit)
            rest = quotient
        } while rest > 0
        return length
    }
}
