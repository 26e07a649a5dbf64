/** A button that opens the browser's file dialogue; the input behind it stays reachable for tests. */
import { Button, type ButtonProps } from 'antd'
import { useRef } from 'react'

interface Props {
  label: string
  accept?: string
  multiple?: boolean
  testId: string
  onFiles: (files: File[]) => void
  button?: ButtonProps
}

export function FilePicker({ label, accept, multiple = false, testId, onFiles, button }: Props) {
  const input = useRef<HTMLInputElement>(null)
  return (
    <>
      <input
        ref={input}
        type="file"
        hidden
        aria-label={label}
        data-testid={testId}
        multiple={multiple}
        {...(accept === undefined ? {} : { accept })}
        onChange={(event) => {
          const files = Array.from(event.target.files ?? [])
          // Choosing the same file again must count as a choice.
          event.target.value = ''
          if (files.length > 0) onFiles(files)
        }}
      />
      <Button {...button} onClick={() => input.current?.click()}>
        {label}
      </Button>
    </>
  )
}
