import Bytes
import CSodium
import Glibc

/// Cryptographically random bytes, from any thread. Each thread has a generator of its own, seeded once by the kernel,
/// so that nothing is locked and a request's id costs no system call.
///
/// A process forked without exec would repeat its parent's bytes; this program never does that.
public enum RandomBytes {
    public static func fill(_ target: UnsafeMutableRawBufferPointer) {
        ThreadGenerator.current.fill(target)
    }

    /// `count` random bytes.
    public static func array(_ count: Int) -> [UInt8] {
        [UInt8](unsafeUninitializedCapacity: count) { bytes, filled in
            fill(UnsafeMutableRawBufferPointer(start: bytes.baseAddress, count: count))
            filled = count
        }
    }

    /// A random number, every bit of it: a seed for tables and jitter.
    public static func number() -> UInt64 {
        var number: UInt64 = 0
        withUnsafeMutableBytes(of: &number) { fill($0) }
        return number
    }
}

/// Random identifiers.
public enum RandomID {
    /// `bytes` random bytes (at most 64) as twice as many lower-case hex digits.
    public static func hex(bytes count: Int) -> String {
        String(unsafeUninitializedCapacity: count * 2) { text in
            write(count, to: text.baseAddress!)
            return count * 2
        }
    }

    /// Appends `bytes` random bytes (at most 64) as hex digits.
    public static func appendHex(bytes count: Int, to buffer: ByteBuffer) {
        write(count, to: buffer.reserve(count * 2))
        buffer.didAppend(count * 2)
    }

    private static func write(_ count: Int, to text: UnsafeMutablePointer<UInt8>) {
        precondition(count <= 64)
        withUnsafeTemporaryAllocation(byteCount: count, alignment: 1) { random in
            RandomBytes.fill(random)
            for i in 0..<count {
                let byte = random[i]
                text[2 &* i] = digit(byte >> 4)
                text[2 &* i &+ 1] = digit(byte & 15)
            }
        }
    }

    /// Without a branch, since random digits cannot be predicted.
    private static func digit(_ value: UInt8) -> UInt8 { 0x30 &+ value &+ ((value &+ 6) >> 4) &* 39 }
}

/// The generator of the calling thread, made at its first use and released when the thread ends.
private enum ThreadGenerator {
    private static let key: pthread_key_t = {
        var key = pthread_key_t()
        precondition(pthread_key_create(&key, release) == 0, "no thread-local storage left")
        return key
    }()

    static var current: KeystreamGenerator {
        if let known = pthread_getspecific(key) {
            return Unmanaged<KeystreamGenerator>.fromOpaque(known).takeUnretainedValue()
        }
        precondition(sodium_init() >= 0, "libsodium cannot start")
        let fresh = KeystreamGenerator { randombytes_buf($0, $1) }
        pthread_setspecific(key, Unmanaged.passRetained(fresh).toOpaque())
        return fresh
    }
}

private func release(_ generator: UnsafeMutableRawPointer?) {
    if let generator { Unmanaged<KeystreamGenerator>.fromOpaque(generator).release() }
}
