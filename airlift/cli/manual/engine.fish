# Completion of airlift for fish, written by `airlift completion fish`.

# what is known of the commands

# Offer what a place takes: a source and words, after what stands before it in the same word.
function __airlift_offer
    set -l stem $argv[1]
    set -l kind (string split ' ' -- $argv[2])
    set -l cur (string replace -- $stem '' (commandline -ct))
    switch "$kind[1]"
        case files
            printf '%s\n' $stem(__fish_complete_path $cur)
        case folders
            printf '%s\n' $stem(__fish_complete_directories $cur)
        case depot-releases enclave-releases enclaves
            printf '%s\n' $stem(airlift completion --names $kind[1] $argv[3..-1] 2>/dev/null)
    end
    if set -q kind[2]
        printf '%s\n' $stem$kind[2..-1]
    end
end

# Walk over words: at is the command they name, count its arguments, before the option that waits for a value.
function __airlift
    set -l cur (commandline -ct)
    set -l given (commandline -opc)
    set -e given[1]
    set -l at airlift
    set -l count 0
    set -l before
    set -l held
    for word in $given
        if test -n "$before"
            if contains -- $before --depot --enclave
                set -a held $before (string replace -r '^~/' "$HOME/" -- $word)
            end
            set before
        else if string match -q -- '--*=*' $word
        else if string match -q -- '-*' $word
            if test -n (__airlift_value $at $word | string collect)
                set before $word
            end
        else if __airlift_is "$at $word"
            set at "$at $word"
        else
            set count (math $count + 1)
        end
    end
    set -l stem ''
    if test -z "$before"; and string match -q -- '--*=*' $cur
        set before (string split -m 1 = -- $cur)[1]
        set stem "$before="
    end
    if test -n "$before"
        __airlift_offer "$stem" (__airlift_value $at $before) $held
    else if string match -q -- '-*' $cur
        __airlift_flags $at
    else if test (count (__airlift_below $at)) -gt 0
        __airlift_below $at
    else
        __airlift_offer '' (__airlift_place $at $count) $held
    end
end

complete -c airlift -k -f -a '(__airlift)'
